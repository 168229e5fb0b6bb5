"""How whoever is in the way is named, and what is said to repeat."""

import pytest
from typer.main import get_command

from schemas import command
from schemas.health import blocker
from schemas.health.blocker import Blocker
from streams.cli.main import app

READER = Blocker(17, "app", "reporting", "client backend", "active", 3900.0, waits=False, gid=None)
IDLE = Blocker(18, "app", None, "client backend", "idle in transaction", 5.0, waits=False, gid=None)
QUEUED = Blocker(19, "dba", "psql", "client backend", "active", 2.0, waits=True, gid=None)
STRANGER = Blocker(20, "other", "job", None, None, None, waits=False, gid=None)
CLEANER = Blocker(21, None, None, "autovacuum worker", "active", 60.0, waits=False, gid=None)
PREPARED = Blocker(0, None, None, None, None, 7200.0, waits=False, gid="two phase")


@pytest.fixture
def typed() -> None:
    """A command that was typed."""
    command.begin(["--config", "my file.toml", "migrate", "rollback", "--yes"])


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (READER, "pid 17, user app, application reporting, in a transaction for 1h05m"),
        (IDLE, "pid 18, user app, application -, in a transaction for 5.0 s, which does nothing"),
        (
            QUEUED,
            "pid 19, user dba, application psql, in a transaction for 2.0 s, which waits itself",
        ),
        (STRANGER, "pid 20, user other, application job"),
        (CLEANER, "pid 21, autovacuum of the server, in a transaction for 1m00s"),
        (PREPARED, "the prepared transaction two phase, in a transaction for 2h00m"),
    ],
)
def test_who_it_is(one: Blocker, name: str) -> None:
    """Application, user and age, as far as Postgres shows them to this role."""
    assert one.name == name


def test_a_crowd_is_counted() -> None:
    """Three are named; a table that hundreds read is one sentence all the same."""
    assert blocker.names([READER] * 5).endswith("; and 2 more")


@pytest.mark.usefixtures("typed")
def test_the_way_on_ends_who_does_not_wait_and_repeats_what_was_typed() -> None:
    """Ending somebody who only waits would help nobody; the command is this one, as a
    shell takes it.
    """
    again = "repeat `vectrue --config 'my file.toml' migrate rollback --yes`"
    assert blocker.way_on([QUEUED, READER]) == f"{blocker.ending(READER)}, then {again}"
    assert blocker.way_on([]) == f"{again} at a quieter time"
    assert "pg_terminate_backend(17)" in blocker.ending(READER)
    assert "ROLLBACK PREPARED" in blocker.ending(PREPARED)
    assert "terminate" not in blocker.ending(CLEANER)


def test_where_no_command_was_typed_none_is_made_up() -> None:
    """A helper that is called by a test or a program of somebody else names no command
    at all.
    """
    assert blocker.way_on([]) == "repeat the command at a quieter time"


@pytest.mark.usefixtures("typed")
def test_what_is_to_be_typed_next_reads_the_same_file() -> None:
    """Without it the settings file of the folder would be used, which may be another
    installation's.
    """
    option = "vectrue --config 'my file.toml'"
    said = (
        "vectrue init, then `vectrue migrate swap`; correct vectrue.toml, vectrue 1.2, "
        "my_vectrue.toml"
    )
    wanted = (
        f"{option} init, then `{option} migrate swap`; correct my file.toml, vectrue 1.2, "
        "my_vectrue.toml"
    )
    assert command.completed(said) == wanted
    assert command.completed(command.again()) == command.again()
    command.begin(["status", "--config", "x.toml"])
    assert command.completed(said) == said


@pytest.mark.usefixtures("typed")
def test_every_command_that_reads_the_settings_is_completed() -> None:
    """Those that bring a stack of their own have no file to name."""
    command.begin(["--config=x.toml", "status"])
    names = set(get_command(app).commands) - {"demo", "local"}  # type: ignore[attr-defined] # a group
    for name in names:
        assert command.completed(f"vectrue {name}") == f"vectrue --config x.toml {name}"
