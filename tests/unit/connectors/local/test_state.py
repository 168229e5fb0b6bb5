"""What a stack remembers: ports, stack.json, the lock; and how its parts are
configured.
"""

import random
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.clock import SystemClock
from connectors.local.machine import free_ports, properties
from connectors.local.machine.locks import _try, locked
from connectors.local.machine.state import Recorded, StackState, StateFile
from connectors.local.stack import LocalStack
from schemas.errors import ConfigurationError, VectrueError


def test_ports_are_free_different_and_below_the_ephemeral_range(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Chosen ports cannot be handed to somebody's outgoing connection while the stack
    is down.
    """
    limits = tmp_path / "range"
    limits.write_text("20000\t60999\n", encoding="ascii")
    monkeypatch.setattr(free_ports, "_RANGE_FILE", limits)
    chosen = free_ports.choose(50)
    assert len(set(chosen)) == 50
    assert all(15_000 <= port < 20_000 for port in chosen)


def test_a_taken_port_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port on which somebody listens is never chosen."""
    monkeypatch.setattr(random, "shuffle", lambda _candidates: None)
    first = free_ports.choose(1)[0]
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert free_ports.choose(1) != [first]


def test_a_kept_port_in_use_names_port_part_and_fix(tmp_path: Path) -> None:
    """The error says which port of which part somebody holds, and both ways out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"port {port} of kafka .* in use by"
        ) as caught:
            free_ports.require_free("kafka", [port], tmp_path)
    assert "vectrue local reset" in (caught.value.fix or "")
    free_ports.require_free("kafka", [port], tmp_path)


def test_the_state_survives_and_is_private(tmp_path: Path) -> None:
    """What was written is read back whole, and nobody else may read the password."""
    memory = StateFile(tmp_path / "stack.json")
    assert memory.read() is None
    state = replace(
        StackState.new(), postgres_home="/elsewhere", processes={"kafka": Recorded(7, 1.5, "mark")}
    )
    memory.write(state)
    assert memory.read() == state
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600


def test_parallel_records_do_not_lose_each_other(tmp_path: Path) -> None:
    """Parts that start at the same moment are all written down."""
    memory = StateFile(tmp_path / "stack.json")
    memory.write(StackState.new())
    threads = [
        threading.Thread(target=memory.record, args=(f"p{i}", Recorded(i, 0.0, "m")))
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    memory.record("p3", None)
    state = memory.read()
    assert state is not None
    assert set(state.processes) == {f"p{i}" for i in range(20)} - {"p3"}


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2, "processes": {}}', '{"format": 1, "processes": {}}']
)
def test_a_damaged_state_names_the_way_out(tmp_path: Path, content: str) -> None:
    """A stack.json that cannot be understood is one sentence with the command that
    makes a new one.
    """
    (tmp_path / "stack.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="vectrue local reset --dir"):
        StateFile(tmp_path / "stack.json").read()


def test_no_stack_names_the_command_that_makes_one(tmp_path: Path) -> None:
    """Asking for the endpoints of a folder without a stack says how to start one;
    status says `absent`.
    """
    stack = LocalStack(tmp_path / "none")
    with pytest.raises(ConfigurationError, match=r"no stack here .*vectrue local up --dir"):
        stack.endpoints()
    assert {part.state for part in stack.status()} == {"absent"}
    assert not (tmp_path / "none").exists()


def test_reset_deletes_only_what_the_stack_made(tmp_path: Path) -> None:
    """Other files in DIR survive a reset, also when stack.json is damaged."""
    for name in ("stack.json", "lock", "mine.txt"):
        (tmp_path / name).write_text("x", encoding="ascii")
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    LocalStack(tmp_path).reset()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_one_command_at_a_time(tmp_path: Path) -> None:
    """Who finds the lock held is told that it waits, and gives up after the deadline."""
    file = tmp_path / "lock"
    told: list[str] = []
    clock = SystemClock()
    with (
        locked(file, clock, 0.0),
        pytest.raises(VectrueError, match="another command has held"),
        locked(file, clock, 0.2, lambda: told.append("waiting")),
    ):
        pytest.fail("two holders at once")
    assert told == ["waiting"]


def test_a_deleted_lock_file_locks_nobody_out(tmp_path: Path) -> None:
    """The holder may delete the file; the next one takes the lock of a new file."""
    file = tmp_path / "lock"
    file.touch()
    with file.open(encoding="ascii") as waiting:
        with locked(file, SystemClock(), 0.0):
            file.unlink()
            with locked(file, SystemClock(), 0.0):
                assert file.exists()
        assert not _try(waiting.fileno(), file)


def test_properties_are_written_as_java_reads_them(tmp_path: Path) -> None:
    """A properties file is ASCII; backslashes and everything else are escaped."""
    file = tmp_path / "x.properties"
    properties.write(file, {"log.dirs": "C:\\데이터"})
    assert file.read_text(encoding="ascii") == "log.dirs=C:\\\\\\ub370\\uc774\\ud130\n"
