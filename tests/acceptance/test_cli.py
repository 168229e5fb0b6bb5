"""The command line as a person sees it: help, usage errors, one clear sentence for every
mistake, no traceback.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeWorkplace
from tests.support.workplace import CREATE_QUESTIONS, Workplace

VECTRUE = str(Path(sys.executable).with_name("vectrue"))
COMMANDS = [
    "demo",
    "local",
    "init",
    "worker",
    "status",
    "lag",
    "replay",
    "verify",
    "adopt",
    "search",
    "score",
    "compare",
    "quality",
    "serve",
    "model",
    "config",
]


def call(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [VECTRUE, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


def sentence(done: "subprocess.CompletedProcess[str]", code: int, *words: str) -> None:
    """One line on stderr that begins with `error:`, holds these words, and no
    traceback; this exit code.
    """
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def test_help_lists_every_command(tmp_path: Path) -> None:
    """`vectrue --help` and the help of each command work without any configuration."""
    done = call("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout
        shown = call(command, "--help", cwd=tmp_path)
        assert shown.returncode == 0
        assert len(shown.stdout) > 200


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    """An unknown command, an unknown option and a wrong value are usage errors."""
    for arguments in (["nonsense"], ["status", "--nonsense"], ["worker", "--role", "third"]):
        done = call(*arguments, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_a_bad_configuration_file_is_one_sentence(tmp_path: Path) -> None:
    """TOML that does not parse, an unknown name, a missing file: the file and the
    setting are named, exit 78.
    """
    (tmp_path / "vectrue.toml").write_text("[model\n")
    sentence(call("config", "show", cwd=tmp_path), 78, "vectrue.toml", "TOML")
    (tmp_path / "vectrue.toml").write_text("[model]\nnam = 'x'\n")
    sentence(call("config", "show", cwd=tmp_path), 78, "model.nam")
    sentence(call("--config", "none.toml", "config", "show", cwd=tmp_path), 78, "none.toml")


def test_config_show_masks_secrets_and_shows_what_is_in_force(tmp_path: Path) -> None:
    """The environment wins over the default, and the password is not printed."""
    dsn = "postgresql://me:s3cret@db/app"
    done = call("config", "show", "-o", "json", cwd=tmp_path, VECTRUE_POSTGRES__DSN=dsn)
    assert done.returncode == 0
    assert json.loads(done.stdout)["postgres"]["dsn"] == "postgresql://me:***@db/app"
    assert "s3cret" not in call("config", "show", cwd=tmp_path, VECTRUE_POSTGRES__DSN=dsn).stdout


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    """--debug, and only it, prints where the error arose."""
    (tmp_path / "vectrue.toml").write_text("[model\n")
    assert "Traceback" in call("--debug", "config", "show", cwd=tmp_path).stderr


def test_an_unreachable_postgres_is_named(tmp_path: Path) -> None:
    """If nothing listens, the address and the setting are named."""
    tables = json.dumps([{"name": "public.questions", "text": "question"}])
    done = call(
        "status",
        cwd=tmp_path,
        VECTRUE_POSTGRES__DSN="postgresql://u:s3cret@127.0.0.1:1/db",
        VECTRUE_TABLES=tables,
    )
    sentence(done, 1, "127.0.0.1:1", "postgres.dsn")
    assert "s3cret" not in done.stderr


@pytest.mark.stack
def test_missing_weights_are_named_with_the_command(
    make_workplace: MakeWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` does without the weights; where they are needed, model and `vectrue model
    pull` are named, exit 78.
    """
    place = make_workplace(model={"name": "BAAI/bge-m3", "dimensions": 1024})
    place.execute(CREATE_QUESTIONS.format(dimensions=1024))
    monkeypatch.setenv("HF_HOME", str(place.directory))
    place.vectrue("init")
    sentence(place.vectrue("search", "x", check=False), 78, "BAAI/bge-m3", "vectrue model pull")
    worker = place.vectrue("worker", "--role", "live", check=False)
    assert (worker.returncode, "vectrue model pull" in worker.stderr) == (78, True)


@pytest.mark.stack
def test_what_is_wrong_with_a_database_is_one_sentence(workplace: Workplace) -> None:
    """Wrong password, missing table, unknown column, wrong length of the vector column:
    exit 78, each named.
    """
    good = workplace.settings.model_dump()

    def wrong(
        *words: str, command: tuple[str, ...] = ("init",), code: int = 78, **flags: Any
    ) -> None:
        workplace.with_settings(**flags)
        sentence(workplace.vectrue(*command, check=False), code, *words)
        workplace.with_settings(**good)

    dsn = workplace.settings.postgres.dsn
    password = dsn.split(":")[2].split("@")[0]
    wrong("postgres.dsn", "password", postgres={"dsn": dsn.replace(password, "wrong")})
    wrong("public.nowhere", tables=[{"name": "nowhere", "text": "x"}])
    wrong("qestion", tables=[{"name": "questions", "text": "qestion"}])
    wrong(
        "public.questions",
        "'vec'",
        tables=[{"name": "questions", "text": "question", "column": "vec"}],
    )
    wrong("vector(64)", "128", model={"dimensions": 128})
    wrong(
        "127.0.0.1:1", "kafka.bootstrap_servers", code=1, kafka={"bootstrap_servers": "127.0.0.1:1"}
    )
    wrong("127.0.0.1:1", "connect.url", code=1, connect={"url": "http://127.0.0.1:1"})


@pytest.mark.stack
def test_a_worker_that_cannot_work_leaves_with_78(make_workplace: MakeWorkplace) -> None:
    """Before `init`, with another model than wanted, with a metrics port in use: exit
    78 and one reason in the log.
    """
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))

    def refused(*words: str) -> None:
        done = place.vectrue("worker", "--role", "live", check=False)
        assert done.returncode == 78, done.stderr
        assert "Traceback" not in done.stderr
        for word in words:
            assert word in done.stderr

    refused("vectrue init")
    place.vectrue("init")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place.with_settings(metrics={"live_port": taken.getsockname()[1]})
        refused("in use", "metrics")
    place.with_settings(metrics={"live_port": None}, model={"dimensions": 32})
    refused("64", "32")


@pytest.mark.stack
def test_the_supervisor_stops_with_78_when_restarting_will_not_help(workplace: Workplace) -> None:
    """`vectrue worker` gives up when a role's configuration is wrong, and leaves no
    process.
    """
    done = workplace.vectrue("worker", check=False)
    assert done.returncode == 78
    assert "vectrue init" in done.stderr
