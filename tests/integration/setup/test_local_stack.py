"""The local stack, started for real. Each test has a stack of its own, so there are
few.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from typer.testing import CliRunner, Result

from connectors.local.machine import processes, properties, versions
from connectors.local.machine.state import StackState, StateFile
from connectors.local.stack import Endpoints, LocalStack
from schemas.errors import ConfigurationError, VectrueError
from streams.cli.local import app
from tests.support.waiting import until

pytestmark = pytest.mark.stack

COMMAND = "from streams.cli.local import app; app()"


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack in a folder with a space and Korean in its name, removed afterwards."""
    made = LocalStack(tmp_path / "스택 1")
    yield made
    made.reset()
    assert _left(made) == []


def test_down_and_up_keep_data_and_ports(local: LocalStack) -> None:
    """Rows, topics and addresses survive a crash, and down and up; `up` on a running
    stack changes nothing.
    """
    lines: list[str] = []
    first = local.up(lines.append)
    assert [line.split()[0] for line in sorted(lines)] == ["connect", "kafka", "postgres"]
    _write(first)
    pids = [part.pid for part in local.status()]

    again = _command("up", local)
    assert again.exit_code == 0
    assert f"already running in {local.directory}" in again.stderr
    assert f"export VECTRUE_POSTGRES__DSN={first.postgres_dsn}" in _command("env", local).stdout
    assert _command("status", local).exit_code == 0
    assert [part.pid for part in local.status()] == pids

    local.stop("postgres", signal.SIGKILL)
    assert [part.state for part in local.status()] == ["stopped", "running", "running"]
    assert _command("status", local).exit_code == 1
    local.start("postgres")
    _check(first)

    local.down()
    assert {part.state for part in local.status()} == {"stopped"}
    assert _left(local) == []
    assert local.endpoints() == first
    assert LocalStack(local.directory).up() == first
    assert {part.state for part in local.status()} == {"running"}
    _check(first)


def test_down_after_a_killed_up_leaves_no_process(local: LocalStack) -> None:
    """`up` killed with SIGKILL while its parts start leaves nothing that `down` does
    not end.
    """
    argv = [sys.executable, "-c", COMMAND, "up", "--dir", str(local.directory)]
    command = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    memory = StateFile(local.directory / "stack.json")

    def begun() -> bool:
        state = memory.read()
        return state is not None and {"postgres", "kafka"} <= set(state.processes)

    until(begun, what="Postgres and Kafka to be starting")
    command.kill()
    command.wait()
    assert len(_left(local)) >= 2
    local.down()
    assert _left(local) == []


def test_trouble_at_start_is_named_and_leaves_nothing_running(
    local: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept port that another process took is one sentence; a part that dies shows its log,
    and the others are stopped.
    """
    local.directory.mkdir()
    (local.directory / "lock").touch()
    StateFile(local.directory / "stack.json").write(StackState.new())
    port = int(local.endpoints().bootstrap_servers.partition(":")[2])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(
            ConfigurationError, match=f"port {port} of kafka in the stack .* is in use by process"
        ) as refused:
            local.up()
    assert "vectrue local reset" in (refused.value.fix or "")
    local.reset()

    monkeypatch.setattr(
        properties, "CONNECT", {**properties.CONNECT, "key.converter": "no.such.Converter"}
    )
    with pytest.raises(VectrueError, match="connect ended while starting") as died:
        local.up()
    assert "no.such.Converter" in (died.value.fix or "")
    assert str(local.directory / "logs" / "connect.log") in (died.value.fix or "")
    assert _left(local) == []


def _write(ends: Endpoints) -> None:
    _query(ends, "CREATE EXTENSION vector")
    _query(ends, "CREATE TABLE kept (id bigint PRIMARY KEY, v vector(3))")
    _query(ends, "INSERT INTO kept VALUES (1, '[1,2,3]')")
    admin = AdminClient({"bootstrap.servers": ends.bootstrap_servers})
    admin.create_topics([NewTopic("kept", 3, 1)])["kept"].result(30)


def _check(ends: Endpoints) -> None:
    assert _query(ends, "SELECT id, v::text FROM kept") == [(1, "[1,2,3]")]
    assert _query(ends, "SELECT extversion FROM pg_extension WHERE extname = 'vector'") == [
        (versions.PGVECTOR,)
    ]
    assert _query(ends, "SHOW server_version") == [(versions.POSTGRES,)]
    for name, value in properties.POSTGRES.items():
        assert _query(ends, f"SHOW {name}") == [(value,)]
    topics = (
        AdminClient({"bootstrap.servers": ends.bootstrap_servers}).list_topics(timeout=30).topics
    )
    assert len(topics["kept"].partitions) == 3


def _command(name: str, local: LocalStack) -> Result:
    return CliRunner().invoke(app, [name, "--dir", str(local.directory)])


def _query(ends: Endpoints, sql: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(ends.postgres_dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _left(local: LocalStack) -> list[str]:
    """The command lines of all processes that name the stack's folder, except the
    tests' own `up`.
    """
    found = [
        process for process in psutil.process_iter(["cmdline"]) if processes.alive(process.pid)
    ]
    lines = [" ".join(process.info["cmdline"] or []) for process in found]
    return [line for line in lines if str(local.directory) in line and COMMAND not in line]
