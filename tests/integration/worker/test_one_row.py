"""A row whose text Postgres cannot make affects no other row, in any lane or command."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from connectors.postgres.rows import own_writes
from connectors.postgres.rows.store import PostgresStore
from schemas.errors import RowTooSlow
from schemas.rows.document import TOO_SLOW, Refusal
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from tests.conftest import MakeWorkplace
from tests.support import workplace as workplaces
from tests.support.init import planned
from tests.support.server import running_server
from tests.support.waiting import until
from tests.support.workplace import QUESTIONS, Endpoints, Workplace

pytestmark = pytest.mark.stack

BODIES = {"name": "public.bodies", "text": "body::jsonb ->> 'x'"}
CREATE = "CREATE TABLE bodies (id bigint PRIMARY KEY, body text, embedding vector(64))"
SECRET = "4111 1111 1111 1111"
BAD = {
    "no json": ("no json", "InvalidTextRepresentation"),
    "half an object, with a number that nobody may see": (
        f'{{"card": "{SECRET}", oops',
        "InvalidTextRepresentation",
    ),
    "nested too deep": ("[" * 100_000, "StatementTooComplex"),
    "an escape that is no character": ('{"x": "\\u0000"}', "UntranslatableCharacter"),
}
"""Bodies whose text Postgres cannot make, and what it calls that."""


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A table whose text may raise errors, beside an ordinary one; `init` was run."""
    made = make_workplace(tables=[BODIES, QUESTIONS])
    made.execute(
        f"{CREATE}; CREATE TABLE questions (id bigint PRIMARY KEY, question text, embedding "
        "vector(64))"
    )
    made.vectrue("init")
    return made


def state(place: Workplace, table: str = "public.bodies") -> dict[str, int]:
    """Rows of the table by state, those without any left out."""
    report = json.loads(place.vectrue("status", "-o", "json", check=False).stdout)
    (column,) = [column for column in report["tables"] if column["table"] == table]
    names = (
        "current",
        "missing",
        "stale_text",
        "stale_model",
        "blank",
        "quarantined",
        "unreadable",
    )
    return {name: column[name] for name in names if column[name]}


def quarantined(place: Workplace) -> dict[int, str]:
    """Reasons by key."""
    return {
        int(key[0]): reason
        for key, reason in place.execute("SELECT key, reason FROM vectrue.quarantine")
    }


def test_rows_whose_text_cannot_be_made_stand_alone(place: Workplace) -> None:
    """They go to quarantine with the name of the condition; their neighbours are
    embedded, their text is nowhere.
    """
    place.start_worker("live")
    expected = {}
    for key, (what, (body, condition)) in enumerate(BAD.items(), 2):
        place.execute("INSERT INTO bodies VALUES (%s, %s, NULL)", (key, body))
        place.execute("INSERT INTO bodies VALUES (%s, %s, NULL)", (-key, json.dumps({"x": what})))
        expected[key] = f"its text cannot be made: Postgres raised {condition}"
    # in one transaction with good ones
    place.execute("INSERT INTO bodies SELECT -id - 100, body, NULL FROM bodies")
    expected |= {-key - 100: reason for key, reason in expected.items()}
    good, bad = len(BAD) * 2, len(BAD) * 2
    until(
        lambda: state(place) == {"current": good, "unreadable": bad},
        what="the good rows to be current",
    )
    until(lambda: len(quarantined(place)) == bad, what="the bad rows in quarantine")
    assert quarantined(place) == expected
    listed = place.vectrue("dlq", "list", "-o", "json").stdout
    for said in (listed, place.log("live"), place.vectrue("status", check=False).stdout):
        assert SECRET not in said
    place.execute("UPDATE bodies SET body = %s", ('{"x": "mended"}',))
    place.wait_current("public.bodies")
    assert not quarantined(place)


EXPRESSIONS = {
    "no number": ("body::int::text", "1", "x", "InvalidTextRepresentation"),
    "a division": ("(10 / length(body))::text", "x", "", "DivisionByZero"),
    "no table's name": ("body::regclass::text", "pg_class", SECRET, "InvalidName"),
    "a table that is not there": ("body::regclass::text", "pg_class", "nosuch", "UndefinedTable"),
    "a path that is none": ("body::jsonpath::text", "$.a", SECRET, "SyntaxError"),
    "several values": (
        "(SELECT part FROM unnest(string_to_array(body, ',')) AS part)",
        "a",
        "a,b",
        "CardinalityViolation",
    ),
    "too long for a value": (
        "rpad(body, 1900000000 * (length(body) - 1) + 1)",
        "x",
        "xy",
        "ProgramLimitExceeded",
    ),
    "bytes of no character": (
        "convert_from(decode(body, 'hex'), 'UTF8')",
        "61",
        "ff",
        "CharacterNotInRepertoire",
    ),
    "a function that raises": ("checked(body)", "good", SECRET, "RaiseException"),
    "a function that asserts": ("asserted(body)", "good", SECRET, "AssertFailure"),
    "a function that runs what it is given": ("run(body)", "1", f"{SECRET} +", "SyntaxError"),
    "a query that names us": ("run(body)", "1", f"'{SECRET} vectrue' +", "SyntaxError"),
    "an array of arrays": (
        "array_to_string(array_remove(body::text[], ''), ' ')",
        "{a}",
        "{{a},{b}}",
        "FeatureNotSupported",
    ),
    "a part that this type lacks": (
        "date_part(body, '2026-01-01'::timestamp)::text",
        "year",
        "timezone",
        "FeatureNotSupported",
    ),
    "a right that a function denies": ("coded(body)", "good", "42501", "InsufficientPrivilege"),
    "a function that says it was cancelled": ("coded(body)", "good", "57014", "QueryCanceled"),
    "a function that wants to be tried again": (
        "coded(body)",
        "good",
        "40001",
        "SerializationFailure",
    ),
    "a function without resources": ("coded(body)", "good", "53000", "InsufficientResources"),
    "a function without a connection": ("coded(body)", "good", "08000", "ConnectionException"),
    "a function on a standby": ("coded(body)", "good", "25006", "ReadOnlySqlTransaction"),
    "a table that a function misses": ("coded(body)", "good", "42P01", "UndefinedTable"),
    "a condition that nobody knows": ("coded(body)", "good", "Z4111", "a condition of its own"),
}
"""Texts; a body of which each can be made, one of which it cannot, and what Postgres
calls that.
"""
FUNCTIONS = """
    CREATE FUNCTION checked(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN
        IF $1 <> 'good' THEN
            RAISE EXCEPTION 'no %%', $1 USING DETAIL = $1, HINT = $1;
        END IF;
        RETURN $1;
    END $$;
    CREATE FUNCTION asserted(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN ASSERT $1 = 'good', $1; RETURN $1; END $$;
    CREATE FUNCTION coded(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN
        IF $1 <> 'good' THEN
            RAISE EXCEPTION 'no' USING ERRCODE = $1;
        END IF;
        RETURN $1;
    END $$;
    CREATE FUNCTION run(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    $$ DECLARE made text; BEGIN EXECUTE 'SELECT ' || $1 INTO made; RETURN made; END $$;
"""


def test_whatever_an_expression_raises_is_about_its_row(make_workplace: MakeWorkplace) -> None:
    """Whatever error a value causes, the neighbour is current, the row is named, and its
    text is not printed.
    """
    texts = [text for text, *_ in EXPRESSIONS.values()]
    place = make_workplace(
        tables=[{"name": f"public.t{i}", "text": text} for i, text in enumerate(texts)]
    )
    place.execute(FUNCTIONS, ())
    for i in range(len(texts)):
        place.execute(CREATE.replace("bodies", f"t{i}"))
    place.vectrue("init")
    place.start_worker("live")
    for i, (_, good, bad, _) in enumerate(EXPRESSIONS.values()):
        place.execute(f"INSERT INTO t{i} VALUES (1, %s, NULL), (2, %s, NULL)", (good, bad))
    query = "SELECT table_name, key, reason FROM vectrue.quarantine"
    until(lambda: len(place.execute(query)) == len(texts), what="the bad rows in quarantine")
    assert {(table, tuple(key)): reason for table, key, reason in place.execute(query)} == {
        (f"public.t{i}", ("2",)): f"its text cannot be made: Postgres raised {condition}"
        for i, (*_, condition) in enumerate(EXPRESSIONS.values())
    }
    as_told = "SELECT count(*) FROM vectrue.coverage WHERE current = 1 AND unreadable = 1"
    until(lambda: place.value(as_told) == len(texts), what="each neighbour to be current")
    verified = place.vectrue("verify")
    assert (
        f"nothing untrue in {2 * len(texts)} rows ({len(texts)} of them unreadable)"
        in verified.stdout
    )
    for said in (
        place.log("live"),
        place.vectrue("dlq", "list").stdout,
        place.vectrue("lag", check=False).stdout,
    ):
        assert SECRET not in said


def test_a_text_that_takes_too_long_is_its_rows_alone(
    make_workplace: MakeWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function does not return for one row: no other row waits for it, and the row is put
    into quarantine unread.
    """
    monkeypatch.setattr(own_writes, "STATEMENT_TIMEOUT", "1s")
    place = make_workplace(tables=[{"name": "public.bodies", "text": "slow(body)"}])
    place.execute(
        "CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN WHILE $1 = 'slow' LOOP END LOOP; RETURN $1; END $$"
    )
    place.execute(CREATE)
    place.vectrue("init")
    place.execute("INSERT INTO bodies VALUES (1, 'good', NULL), (2, 'slow', NULL)")
    target = planned(place.settings).tables[0].target
    with closing(PostgresStore(place.settings.postgres, role="test")) as store:
        for keys in ([("1",), ("2",)], [("2",)]):
            with pytest.raises(RowTooSlow):
                store.read(target, keys)
        assert [document.text for document in store.read(target, [("1",)]).documents] == ["good"]
        store.write(target, [], [Refusal(("2",), TOO_SLOW, "too slow", 1)])
    assert quarantined(place) == {2: "too slow"}


def test_a_key_that_names_what_is_not_there_is_no_key(workplace: Workplace) -> None:
    """The key's type has names as its values, such as regclass: a name that does not exist
    is no reason to doubt the settings.
    """
    table = TableName("public", "tables")
    target = Target(table, "embedding", "name", (KeyColumn("id", "regclass"),), "lexical", 64)
    with closing(PostgresStore(workplace.settings.postgres, role="test")) as store:
        assert store.takes(target, ("pg_class",))
        assert not store.takes(target, ("nosuch",))


def test_a_bad_row_in_every_chunk_ends_no_run(place: Workplace) -> None:
    """Limits count records, and none of a chunk is bad for its rows: the run ends, and
    they are reported (F6).
    """
    place.with_settings(replay={"chunk_size": 4, "nice": 0})
    place.execute(
        "INSERT INTO bodies SELECT i, CASE WHEN i %% 4 = 0 THEN 'no json' ELSE '{\"x\": \"' || "
        "i || '\"}' END, NULL "
        "FROM generate_series(1, 1000) AS i",
        (),
    )
    worker = place.start_worker("replay")
    done = place.vectrue("replay", "run", "--only", "all", check=False)
    assert worker.poll() is None
    assert "750 of 1,000 rows are current or blank, 250 are unreadable" in done.stdout
    assert state(place) == {"current": 750, "unreadable": 250}
    assert len(quarantined(place)) == 250
    assert place.value("SELECT state FROM vectrue.replays") == "done"


def test_no_command_is_blinded_by_a_row(make_workplace: MakeWorkplace) -> None:
    """Rows that were there before `init`, some without a text that can be made: all
    commands report all the others.
    """
    place = make_workplace(tables=[BODIES, QUESTIONS])
    place.execute(
        f"{CREATE}; CREATE TABLE questions (id bigint PRIMARY KEY, question text, embedding "
        "vector(64));"
        "INSERT INTO bodies SELECT i, CASE WHEN i %% 40 = 0 THEN 'no json' ELSE '{\"x\": \"' || "
        "i || '\"}' END, NULL "
        "FROM generate_series(1, 200) AS i; INSERT INTO questions VALUES (1, 'missed', NULL)",
        (),
    )
    # Left to itself the planner may find each row by its key, and meet no other.
    database = place.value("SELECT current_database()")
    for setting in ("enable_indexscan", "enable_bitmapscan", "enable_nestloop"):
        place.execute(f"ALTER DATABASE {database} SET {setting} = off")
    assert "195 of 200 rows of public.bodies lack a current vector" in place.vectrue("init").stdout
    assert state(place) == {"missing": 195, "unreadable": 5}
    place.start_worker("live")
    place.start_worker("replay")
    done = place.vectrue("replay", "run", check=False)
    assert "196 of 201 rows are current or blank, 5 are unreadable" in done.stdout
    assert state(place) == {"current": 195, "unreadable": 5}
    assert state(place, "public.questions") == {"current": 1}
    verified = place.vectrue("verify")
    assert "nothing untrue in 201 rows (5 of them unreadable)" in verified.stdout
    assert place.coverage("public.bodies")["current"] == 195

    # All rows, the bad ones as well: they are told by name, and trip no limit.
    every = place.vectrue("replay", "run", "--only", "all", "--force", check=False)
    assert "196 of 201 rows are current or blank, 5 are unreadable" in every.stdout
    assert sorted(quarantined(place)) == [40, 80, 120, 160, 200]
    assert json.loads(place.vectrue("dlq", "list", "--kind", "event", "-o", "json").stdout) == []


@pytest.fixture(scope="module")
def secretive(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A good row and one whose text cannot be made, with a number that no one may see;
    bodies are answers too.
    """
    score = {"table": "public.bodies", "question": "id", "where": "true"}
    with workplaces.workplace(
        stack, tmp_path_factory.mktemp("secretive"), tables=[BODIES], score=score
    ) as place:
        place.execute(CREATE)
        place.vectrue("init")
        bodies = ('{"x": "good"}', f'{{"card": "{SECRET}", oops')
        place.execute("INSERT INTO bodies VALUES (1, %s, NULL), (2, %s, NULL)", bodies)
        yield place


@pytest.mark.parametrize(
    "command",
    [
        ("search", "good", "--where", "body::int > 0", "--exact"),
        ("replay", "plan", "--where", "body::int > 0"),
        ("replay", "run", "--where", "body::jsonb IS NOT NULL"),
        ("score", "an answer", "--question", "2"),
        ("verify", "--deep", "10"),
        ("adopt", "-t", "public.bodies", "--model", "lexical", "--dry-run"),
        ("status",),
        ("doctor",),
        ("dlq", "list"),
        ("lag",),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_command_tells_a_text(secretive: Workplace, command: tuple[str, ...]) -> None:
    """Postgres may quote a text in its message: no command prints it."""
    done = secretive.vectrue(*command, check=False)
    assert SECRET[:9] not in done.stdout + done.stderr
    assert done.returncode != 70
    assert "Traceback" not in done.stderr
    assert "Usage:" not in done.stderr, "a command that is not there tells no text either"


def test_neither_log_letter_nor_server_tells_a_text(secretive: Workplace) -> None:
    """A trigger and a constraint that quote the row, and requests that fail at it:
    names of conditions alone.
    """
    place = secretive
    place.execute(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 3 THEN "
        "RAISE EXCEPTION"
        " 'no %%', NEW.body USING CONSTRAINT = NEW.body, DETAIL = NEW.body; END IF; RETURN NEW; "
        "END $$;"
        "CREATE TRIGGER tell BEFORE UPDATE ON bodies FOR EACH ROW EXECUTE FUNCTION tell();"
        "ALTER TABLE bodies ADD CONSTRAINT short CHECK (embedding IS NULL OR id <> 4)",
        (),
    )
    place.start_worker("live")
    for key in (3, 4):
        place.execute(
            "INSERT INTO bodies VALUES (%s, %s, NULL)",
            (key, json.dumps({"x": "told", "card": SECRET})),
        )
    until(lambda: set(quarantined(place)) >= {2, 3, 4}, what="the rows in quarantine")
    said = [place.log("live"), place.vectrue("dlq", "list", "-o", "json").stdout]
    with running_server(place) as server:
        bodies = ({"query": "good", "where": "body::int > 0"}, {"query": "good"})
        said += [server.client.post("/v1/search", json=body).text for body in bodies]
        said.append(
            server.client.post("/v1/score", json={"answer": "an answer", "question": 2}).text
        )
        said += [server.client.get("/readyz").text, server.log()]
    assert not [text for text in said if SECRET[:9] in text]
