"""docker-compose.yml: read, because there is not always a Docker to start it.

compose-spec.json is the published schema of the Compose Specification
(github.com/compose-spec/compose-spec, Apache-2.0), as the package check-jsonschema
0.39.0 carries it.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors.local.machine import properties, versions
from connectors.local.services.postgres import Postgres
from connectors.local.services.postgres_programs import Programs
from tests.support import containers
from tests.support.root import ROOT

ONE_SHOT = {"model", "init"}
WORKERS = {"worker-live": "live_port", "worker-replay": "replay_port"}
# What scripts inside the images make of these variables: debezium's
# docker-entrypoint.sh, with its defaults.
CONNECT_NAMED = {
    "BOOTSTRAP_SERVERS": "0.0.0.0:9092",
    "GROUP_ID": "1",
    "CONFIG_STORAGE_TOPIC": "",
    "OFFSET_STORAGE_TOPIC": "",
    "STATUS_STORAGE_TOPIC": "",
    "KEY_CONVERTER": "org.apache.kafka.connect.json.JsonConverter",
    "VALUE_CONVERTER": "org.apache.kafka.connect.json.JsonConverter",
    "OFFSET_FLUSH_INTERVAL_MS": "60000",
}


def test_it_follows_the_compose_schema(compose: dict[str, Any]) -> None:
    """Docker Compose accepts every name and type in the file."""
    schema = json.loads((ROOT / "tests/support/compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_the_images_are_the_local_versions(services: dict[str, Any]) -> None:
    """Containers run the versions of the local stack (the pgvector image names the
    major version of Postgres only).
    """
    major = versions.POSTGRES.split(".", maxsplit=1)[0]
    assert services["postgres"]["image"] == f"pgvector/pgvector:{versions.PGVECTOR}-pg{major}"
    assert services["kafka"]["image"] == f"apache/kafka:{versions.KAFKA}"
    assert services["connect"]["image"] == f"quay.io/debezium/connect:{versions.DEBEZIUM}"


def test_the_image_of_vectrue_is_its_version_and_built_once(services: dict[str, Any]) -> None:
    """One service builds the image, the others wait for that build and never pull the
    name from a registry.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    assert {name for name, service in services.items() if "build" in service} == {"model"}
    for name in ONE_SHOT | WORKERS.keys():
        assert services[name]["image"] == f"vectrue:{version}"
        assert name == "model" or services[name]["pull_policy"] == "never"


def test_postgres_has_the_local_settings(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same settings, same database, same encoding and collation."""
    program, *arguments = services["postgres"]["command"]
    assert program == "postgres"
    assert set(arguments[::2]) == {"-c"}
    assert dict(setting.split("=", 1) for setting in arguments[1::2]) == properties.POSTGRES
    environment = services["postgres"]["environment"]
    assert environment["POSTGRES_DB"] == properties.DATABASE
    monkeypatch.setattr(Postgres, "_programs", lambda _self: Path("bin"))
    bare = Postgres.__new__(Postgres)
    bare._chosen = Programs()
    local = bare._initdb(Path("data"), Path("secret"), Path("log"), None).argv
    wanted = [argument for argument in local if re.match("--(encoding|locale|builtin)", argument)]
    assert environment["POSTGRES_INITDB_ARGS"].split() == wanted
    assert len(wanted) == 4


def test_kafka_has_the_local_settings(services: dict[str, Any]) -> None:
    """All broker properties of the local stack, and beside them only listeners, quorum
    and the folder of the data.
    """
    environment = dict(services["kafka"]["environment"])
    heap = [flag for flag in properties.BROKER_JVM if flag.startswith("-Xm")]
    assert environment.pop("KAFKA_HEAP_OPTS").split() == heap
    # apache/kafka's rule for names without `-` and `_`.
    made = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environment.items()
    }
    assert {
        name: value for name, value in made.items() if name in properties.BROKER
    } == properties.BROKER
    assert made.keys() - properties.BROKER.keys() == {
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "controller.quorum.voters",
        "log.dirs",
    }


def test_kafka_is_reached_from_containers_and_from_this_machine() -> None:
    """Each kind of client is sent back to an address it can reach, also when the
    published port is another one.
    """
    services = containers.compose({"KAFKA_PORT": "19999"})["services"]
    environment = services["kafka"]["environment"]
    listens = _listeners(environment["KAFKA_LISTENERS"])
    advertised = _listeners(environment["KAFKA_ADVERTISED_LISTENERS"])
    protocols = dict(
        entry.split(":") for entry in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    assert protocols.keys() == listens.keys()
    assert advertised.keys() == listens.keys() - {environment["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    inside = advertised[environment["KAFKA_INTER_BROKER_LISTENER_NAME"]]
    assert inside == ("kafka", listens["PLAINTEXT"][1])
    assert advertised["HOST"] == ("127.0.0.1", "19999")
    assert services["kafka"]["ports"] == [f"127.0.0.1:19999:{listens['HOST'][1]}"]
    assert listens["HOST"][1] == str(containers.PORTS["kafka"])
    assert services["connect"]["environment"]["BOOTSTRAP_SERVERS"] == ":".join(inside)
    assert services["kafka"]["healthcheck"]["test"][-1] == ":".join(inside)
    quorum = f"1@localhost:{listens['CONTROLLER'][1]}"
    assert environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == quorum


def test_connect_has_the_local_settings(services: dict[str, Any]) -> None:
    """Connect's properties, as the image makes them of its variables, are those of the
    local stack.
    """
    environment = dict(services["connect"]["environment"])
    environment.pop("HEAP_OPTS")
    made = {
        _dotted(name): environment.pop(name, default) for name, default in CONNECT_NAMED.items()
    }
    assert [name for name in environment if not name.startswith("CONNECT_")] == []
    for name, value in environment.items():
        # The entrypoint overwrites these with its named variables.
        assert _dotted(name.removeprefix("CONNECT_")) not in made
        made[_dotted(name.removeprefix("CONNECT_"))] = value
    assert made.pop("bootstrap.servers") == "kafka:19092"
    assert made == properties.CONNECT


def test_services_wait_for_what_they_need(services: dict[str, Any]) -> None:
    """Nothing starts before what it depends on is healthy or done, and each condition
    can come true.
    """
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    done = "service_completed_successfully"
    healthy = "service_healthy"
    assert waits == {
        "postgres": {},
        "kafka": {},
        "connect": {"kafka": healthy},
        "model": {},
        "init": {"postgres": healthy, "kafka": healthy, "connect": healthy, "model": done},
        "worker-live": {"init": done},
        "worker-replay": {"init": done},
    }
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in ONE_SHOT), name
        assert (service["restart"] == "no") == (name in ONE_SHOT), name
        assert "profiles" not in service, "`docker compose up` starts everything"
    for name in WORKERS:
        assert services[name]["restart"] == "on-failure"


def test_health_checks_ask_the_right_port(services: dict[str, Any]) -> None:
    """A check asks the service itself, over TCP, on the port where it listens."""
    assert "--host=127.0.0.1" in services["postgres"]["healthcheck"]["test"]
    assert services["connect"]["healthcheck"]["test"][-1] == "http://localhost:8083/connectors"
    for name, setting in WORKERS.items():
        port = services[name]["environment"][f"VECTRUE_METRICS__{setting.upper()}"]
        *command, program = services[name]["healthcheck"]["test"]
        assert command == ["CMD", "python", "-c"]
        compile(program, name, "exec")
        assert f"http://127.0.0.1:{port}/metrics" in program


def test_ports_are_published_on_loopback_only(services: dict[str, Any]) -> None:
    """No port is open to the network, and the three services are where their clients
    expect them.
    """
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == [f"127.0.0.1:{port}:{port}" for port in containers.PORTS.values()]


def test_volumes_and_mounts_fit_the_images(compose: dict[str, Any]) -> None:
    """Data lies in named volumes where the images keep it; mounted files exist; weights
    and settings meet the image.
    """
    mounts = {
        name: [_mount(m) for m in s.get("volumes", [])] for name, s in compose["services"].items()
    }
    named = {
        source for mounted in mounts.values() for source, _ in mounted if not source.startswith(".")
    }
    assert named == compose["volumes"].keys()
    for source, _ in (m for mounted in mounts.values() for m in mounted if m[0].startswith(".")):
        assert (ROOT / source).is_file(), source
    # PostgreSQL 18's images; `data` is lost
    assert mounts["postgres"][0] == ("postgres", "/var/lib/postgresql")
    assert mounts["postgres"][1][0] == "./examples/interview/schema.sql"
    assert mounts["postgres"][2][0] == "./ops/docker/worker.sql"
    assert all(
        target.startswith("/docker-entrypoint-initdb.d/") for _, target in mounts["postgres"][1:]
    )
    log_dirs = compose["services"]["kafka"]["environment"]["KAFKA_LOG_DIRS"]
    assert mounts["kafka"] == [("kafka", log_dirs)] == [("kafka", "/var/lib/kafka/data")]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "HF_HOME=/models" in dockerfile
    assert "WORKDIR /app\n" in dockerfile
    for name in ONE_SHOT | WORKERS.keys():
        assert mounts[name] == [("./vectrue.toml", "/app/vectrue.toml"), ("models", "/models")]


@pytest.mark.parametrize("nowhere", ["tcp://127.0.0.1:1", "unix:///nowhere/docker.sock"])
def test_containers_without_docker_skip_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, nowhere: str
) -> None:
    """VECTRUE_TEST_STACK=containers never passes silently: without Docker every test
    says why it did not run.
    """
    monkeypatch.setenv("DOCKER_HOST", nowhere)
    reason = "VECTRUE_TEST_STACK=containers but Docker does not answer: .+"
    with pytest.raises(pytest.skip.Exception, match=reason), containers.containers():
        pass


def test_containers_are_those_of_the_compose_file(services: dict[str, Any]) -> None:
    """The tests' containers can be made of the compose file: all that testcontainers
    needs of it is there.
    """
    assert list(services)[: len(containers.PORTS)] == list(containers.PORTS)
    for name in containers.PORTS:
        assert services[name]["healthcheck"]["test"][0] == "CMD"
        assert all(isinstance(value, str) for value in services[name]["environment"].values())


def _listeners(text: str) -> dict[str, tuple[str, str]]:
    found = {}
    for entry in text.split(","):
        name, host, port = re.fullmatch(r"(\w+)://([\w.]*):(\d+)", entry).groups()  # type: ignore[union-attr]  # None fails the test
        found[name] = (host, port)
    return found


def _dotted(name: str) -> str:
    return name.lower().replace("_", ".")


def _mount(text: str) -> tuple[str, str]:
    source, target = text.split(":")[:2]
    return source, target
