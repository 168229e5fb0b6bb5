"""Postgres, Kafka and Connect of docker-compose.yml as throw-away containers:
VECTRUE_TEST_STACK=containers.

Image, command, environment and health check of each are read from docker-compose.yml,
so what is tested is what `docker compose up` starts; volumes are left out.

Hazards:
- A broker tells its clients where to come back to, so Kafka's port on this machine is
  chosen before it starts, and the Docker engine has to be on this machine.
- Connect reaches Postgres by its name in the containers' network, the tests by a port
  of this machine: `database_host`.
- The first pull of the images counts towards the first test's time-out: `docker compose
  pull postgres kafka connect`.
"""

import gc
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from connectors.local.machine import free_ports
from tests.support.root import ROOT
from tests.support.waiting import until

COMPOSE = ROOT / "docker-compose.yml"
PORTS = {"postgres": 5432, "kafka": 9092, "connect": 8083}
"""Port of each service inside its container, in the order in which they start."""

_VARIABLE = re.compile(r"\$\$|\$\{(\w+):-([^}]*)\}|\$")


@dataclass(frozen=True)
class Endpoints:
    """Where the containers answer; `database_host` and `database_port` are Postgres as
    Connect reaches it.
    """

    postgres_dsn: str
    bootstrap_servers: str
    connect_url: str
    database_host: str = "postgres"
    database_port: int = PORTS["postgres"]


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """docker-compose.yml with its variables replaced, as `docker compose config` would.

    Args:
        variables: the environment; `${NAME:-default}` takes the default where NAME is
            missing or empty.

    Raises:
        ValueError: a `$` that is neither `${NAME:-default}` nor `$$`: it would not work
            with nothing set.
    """
    loaded: dict[str, Any] = _replaced(
        yaml.safe_load(COMPOSE.read_text(encoding="utf-8")), variables
    )
    return loaded


@contextmanager
def containers() -> Iterator[Endpoints]:
    """Start the three services in one network, wait until they are healthy, and remove
    them at the end.

    Skips the test, with the reason, where Docker does not answer.
    """
    _require_docker()
    from testcontainers.core.network import Network

    kafka_port = free_ports.choose(1)[0]
    services = compose({"KAFKA_PORT": str(kafka_port)})["services"]
    with ExitStack() as running:
        network = running.enter_context(Network())
        started = {}
        for name in PORTS:
            host_port = kafka_port if name == "kafka" else None
            started[name] = running.enter_context(
                _container(name, services[name], network, host_port)
            )
            _wait_healthy(name, services[name], started[name])
        settings = services["postgres"]["environment"]
        postgres = f"127.0.0.1:{started['postgres'].get_exposed_port(PORTS['postgres'])}"
        yield Endpoints(
            postgres_dsn=f"postgresql://postgres:{settings['POSTGRES_PASSWORD']}@{postgres}/{settings['POSTGRES_DB']}",
            bootstrap_servers=f"127.0.0.1:{kafka_port}",
            connect_url=f"http://127.0.0.1:{started['connect'].get_exposed_port(PORTS['connect'])}",
        )


def _require_docker() -> None:
    with warnings.catch_warnings():
        # Where nothing listens, docker's client leaves a socket to the garbage
        # collector.
        warnings.simplefilter("ignore", ResourceWarning)
        problem = _docker_problem()
        gc.collect()
    if problem:
        pytest.skip(f"VECTRUE_TEST_STACK=containers but Docker does not answer: {problem}")


def _docker_problem() -> str | None:
    from docker.errors import DockerException  # type: ignore[import-untyped]  # the package ships without types
    from testcontainers.core.docker_client import DockerClient

    try:
        DockerClient().client.ping()
    except (DockerException, OSError) as error:  # requests' errors are OSErrors
        return str(error)
    return None


def _container(name: str, service: Mapping[str, Any], network: Any, host_port: int | None) -> Any:
    from testcontainers.core.container import DockerContainer

    more = {"shm_size": service["shm_size"]} if "shm_size" in service else {}
    container = DockerContainer(
        service["image"],
        command=service.get("command"),
        env=dict(service["environment"]),
        network=network,
        network_aliases=[name],
        **more,
    )
    return container.with_bind_ports(PORTS[name], host_port)


def _wait_healthy(name: str, service: Mapping[str, Any], container: Any) -> None:
    """Run the service's own health check in the container until it succeeds."""
    check = service["healthcheck"]["test"]
    if check[0] != "CMD":
        raise ValueError(f"the health check of {name} is not of the form [CMD, program, arguments]")

    def healthy() -> bool:
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        if wrapped.status != "running":
            raise AssertionError(
                f"{name} is {wrapped.status}:\n{wrapped.logs(tail=40).decode(errors='replace')}"
            )
        return bool(container.exec(check[1:]).exit_code == 0)

    until(healthy, timeout=180, what=f"the container {name} to be healthy")


def _replaced(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value

    def replacement(found: re.Match[str]) -> str:
        name, default = found.groups()
        if name:
            return variables.get(name) or str(default)
        if found.group() == "$$":
            return "$"
        raise ValueError(f"{value!r} in {COMPOSE.name} has a variable without a default")

    return _VARIABLE.sub(replacement, value)
