"""When a command is ended, its statement on the server ends too: nothing goes on there
unattended.
"""

import signal
from collections.abc import Iterator

import pytest
from psycopg2.extensions import parse_dsn

from tests.support.locks import transaction
from tests.support.prefork import Process
from tests.support.proxy import Proxy
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Endpoints, Workplace, workplace

pytestmark = pytest.mark.stack

ENDLESS = ("replay", "plan", "--where", "id > 1 OR pg_sleep(170) IS NOT NULL")
OURS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'vectrue %'
        AND state = 'active' AND pid <> pg_backend_pid()
"""
ASLEEP = f"{OURS} AND wait_event = 'PgSleep'"
WAITING = f"{OURS} AND wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
def place(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A table of a few rows, set up; no worker runs."""
    with workplace(stack, tmp_path_factory.mktemp("interrupted")) as made:
        made.execute(CREATE_QUESTIONS.format(dimensions=64))
        made.execute(
            "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, "
            "20) AS i"
        )
        made.vectrue("init")
        yield made


@pytest.fixture
def locked(place: Workplace) -> Iterator[Workplace]:
    """The table is held by someone, so that every statement about it waits until it is
    cancelled.
    """
    with transaction(place, "LOCK TABLE questions IN ACCESS EXCLUSIVE MODE"):
        yield place


def busy(place: Workplace, process: Process, log: str, query: str = OURS) -> None:
    """Wait until a statement of the command runs."""

    def runs() -> bool:
        assert process.poll() is None, place.log(log)
        return bool(place.value(query))

    until(runs, what="a statement of the command")


def idle(place: Workplace) -> None:
    """Wait until no statement of ours runs."""
    until(lambda: not place.value(OURS), what="the server to be left alone")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_cancels_the_statement_on_the_server(
    place: Workplace, number: int, code: int
) -> None:
    """A statement that would take minutes ends with its command, which says so in one
    line and by its exit code.
    """
    process = place.start(*ENDLESS, log=f"command{number}")
    busy(place, process, f"command{number}", ASLEEP)
    process.send_signal(number)
    assert process.wait(120) == code
    idle(place)
    assert place.log(f"command{number}") == "interrupted\n"


def test_a_command_that_is_killed_leaves_nothing_running(place: Workplace) -> None:
    """A process cannot react to SIGKILL; the server itself notices that the client is gone."""
    process = place.start(*ENDLESS, log="killed")
    busy(place, process, "killed", ASLEEP)
    process.kill()
    idle(place)


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("verify",),
        ("replay", "run"),
        ("replay", "plan", "--exact"),
        ("migrate", "plan", "-m", "lexical", "-d", "96"),
        ("search", "question"),
    ],
    ids=" ".join,
)
def test_every_command_cancels(locked: Workplace, arguments: tuple[str, ...]) -> None:
    """The statement is cancelled also if it waits for someone else's lock, whatever the command."""
    name = "-".join(arguments)
    process = locked.start(*arguments, log=name)
    busy(locked, process, name, WAITING)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 143, locked.log(name)
    idle(locked)
    assert locked.log(name).endswith("interrupted\n")
    assert "error" not in locked.log(name)


def test_a_server_that_does_not_answer_keeps_no_command(place: Workplace) -> None:
    """Neither the statement nor the request to cancel it is answered: the signal after
    the first ends the command.
    """
    direct = place.settings.postgres.dsn
    port = int(parse_dsn(direct)["port"])
    proxy = Proxy(port)
    proxy.start()
    try:
        place.with_settings(postgres={"dsn": direct.replace(f":{port}/", f":{proxy.port}/")})
        process = place.start(*ENDLESS, log="stalled")
        busy(place, process, "stalled", ASLEEP)
        proxy.stall()
        process.send_signal(signal.SIGINT)

        def ended() -> bool:
            process.send_signal(signal.SIGINT)
            return process.poll() is not None

        until(ended, what="the end", pause=0.7)
        assert process.wait(120) == 130
        assert place.log("stalled") == "interrupted\n"
    finally:
        place.with_settings(postgres={"dsn": direct})
        proxy.stop()
    idle(place)
