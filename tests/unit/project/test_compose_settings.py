"""The settings that docker-compose.yml passes to the containers."""

import json
import os
import re
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from psycopg2.extensions import parse_dsn

from connectors.local.machine import properties
from schemas.settings.reading import Settings, load
from streams.cli.main import app
from tests.support import containers
from tests.support.root import ROOT
from tests.unit.project.test_compose import ONE_SHOT, WORKERS


def test_the_workers_find_everything(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables and the mounted vectrue.toml are valid settings that name the other
    services.
    """
    live = _settings("worker-live", services, monkeypatch)
    assert live.model.name == "BAAI/bge-m3"
    assert live.model.dimensions == 1024
    place = {"host": "postgres", "port": "5432", "dbname": properties.DATABASE}
    assert parse_dsn(live.postgres.dsn) == {
        **place,
        "user": "vectrue",
        "password": "vectrue-worker",
    }
    assert live.kafka.bootstrap_servers == services["connect"]["environment"]["BOOTSTRAP_SERVERS"]
    assert live.connect.url == "http://connect:8083"
    assert (live.connect.database_host, live.connect.database_port) == ("postgres", 5432)
    assert [table.name for table in live.tables] == ["public.questions", "public.answer_bank"]
    assert (live.metrics.live_port, live.metrics.replay_port) == (9464, None)
    replay = _settings("worker-replay", services, monkeypatch)
    assert (replay.metrics.live_port, replay.metrics.replay_port) == (None, 9464)


def test_only_init_connects_as_a_superuser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers know one login, that of a role which is made without any rights, and
    `init` grants to it.
    """
    script = (ROOT / "ops/docker/worker.sql").read_text(encoding="utf-8")
    made = re.search(
        r"^CREATE ROLE (\w+) LOGIN NOSUPERUSER PASSWORD :'password';$", script, re.MULTILINE
    )
    assert made
    secret = "what-only-init-may-know"
    services = containers.compose({"POSTGRES_PASSWORD": secret})["services"]
    for name in ONE_SHOT | WORKERS.keys():
        postgres = _settings(name, services, monkeypatch).postgres
        assert parse_dsn(postgres.dsn)["user"] == made[1]
        if name == "init":
            assert parse_dsn(postgres.admin_dsn or "") == {
                **parse_dsn(postgres.dsn),
                "user": "postgres",
                "password": secret,
            }
        else:
            assert postgres.admin_dsn is None
            assert secret not in json.dumps(services[name])
    password = parse_dsn(services["init"]["environment"]["VECTRUE_POSTGRES__DSN"])["password"]
    assert services["postgres"]["environment"]["WORKER_PASSWORD"] == password


def test_every_variable_of_vectrue_is_a_setting(services: dict[str, Any]) -> None:
    """A misspelt VECTRUE_ variable would be ignored without an error; there is none."""
    for name in ONE_SHOT | WORKERS.keys():
        for variable in services[name]["environment"]:
            section, field = variable.removeprefix("VECTRUE_").lower().split("__")
            annotation = Settings.model_fields[section].annotation
            assert annotation is not None
            assert field in annotation.model_fields, variable


def test_what_the_user_sets_arrives() -> None:
    """Password, ports, model and torch build come from the environment, everywhere they
    are used.
    """
    chosen = {
        "POSTGRES_PASSWORD": "p@ss/:?",
        "WORKER_PASSWORD": "w#r k=1",
        "POSTGRES_PORT": "1",
        "KAFKA_PORT": "2",
        "CONNECT_PORT": "3",
        "VECTRUE_MODEL__NAME": "lexical",
        "VECTRUE_MODEL__DIMENSIONS": "64",
        "TORCH": "default",
    }
    services = containers.compose(chosen)["services"]
    ports = [services[name]["ports"] for name in containers.PORTS]
    assert ports == [["127.0.0.1:1:5432"], ["127.0.0.1:2:9092"], ["127.0.0.1:3:8083"]]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "p@ss/:?"
    assert services["postgres"]["environment"]["WORKER_PASSWORD"] == "w#r k=1"
    assert (
        parse_dsn(services["init"]["environment"]["VECTRUE_POSTGRES__ADMIN_DSN"])["password"]
        == "p@ss/:?"
    )
    assert services["model"]["build"]["args"] == {"TORCH": "default"}
    for name in ONE_SHOT | WORKERS.keys():
        environment = services[name]["environment"]
        assert parse_dsn(environment["VECTRUE_POSTGRES__DSN"])["password"] == "w#r k=1"
        assert (environment["VECTRUE_MODEL__NAME"], environment["VECTRUE_MODEL__DIMENSIONS"]) == (
            "lexical",
            "64",
        )


def test_the_commands_exist(services: dict[str, Any]) -> None:
    """Each container's command is one that the command line takes."""
    commands = {name: services[name]["command"] for name in ONE_SHOT | WORKERS.keys()}
    assert commands == {
        "model": ["model", "pull"],
        "init": ["init"],
        "worker-live": ["worker", "--role", "live"],
        "worker-replay": ["worker", "--role", "replay"],
    }
    for words in commands.values():
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "get_command"):
            command = command.get_command(click.Context(command), rest.pop(0))
            assert command is not None, words
        command.make_context(words[0], rest)


def test_a_variable_without_a_default_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`docker compose up` works with nothing set."""
    file = tmp_path / "docker-compose.yml"
    file.write_text(
        "services: {a: {image: '${IMAGE}', command: ['$$HOME', '${B:-b}']}}", encoding="utf-8"
    )
    monkeypatch.setattr(containers, "COMPOSE", file)
    with pytest.raises(ValueError, match="without a default"):
        containers.compose({"IMAGE": "x"})
    file.write_text("services: {a: {command: ['$$HOME', '${B:-b}', '${C:-}']}}", encoding="utf-8")
    assert containers.compose({"C": "c", "B": ""})["services"]["a"]["command"] == [
        "$HOME",
        "b",
        "c",
    ]


def _settings(name: str, services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Settings:
    with monkeypatch.context() as patch:
        for variable in [v for v in os.environ if v.startswith("VECTRUE_")]:
            patch.delenv(variable)
        for variable, value in services[name]["environment"].items():
            patch.setenv(variable, value)
        return load(ROOT / "vectrue.toml")
