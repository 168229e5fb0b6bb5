"""Names of the user never meet ours: a table, its columns and its key may be called
like any word of our SQL.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest
from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.audit.adoption import Adoption
from connectors.postgres.audit.scan import Audit
from connectors.postgres.checks.text_check import look
from connectors.postgres.health.keeper import KeeperStore
from connectors.postgres.ledger import enumeration
from connectors.postgres.rows import quarantine
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.search import ranking, search
from connectors.postgres.session import Session
from connectors.twins.memory import sha256
from schemas.reports.replay import Request
from schemas.reports.search import SearchRequest
from schemas.rows.document import Decision, Refusal, Update, Written, decide
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from tests.contract.store_worlds import migrate, unit, want
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack
TAKEN = {"tableoid", "xmin", "xmax", "cmin", "cmax", "ctid", "embedding", "embedded_at"}
"""Columns that every table has already, and those that ours has."""
ODD = ("%s", "%", "{table}", 'a"b', "a'b", "a b", "A", "ㄱ", "$1", "\\")
KEYS = [("1",), ("2",), ("3",)]
TEXTS = ("an apple", None, "a pear")


def words(pattern: str = r"([A-Za-z_][A-Za-z0-9_]*)") -> set[str]:
    """Words of our SQL outside comments and quotes: all of them, or what the pattern
    finds.
    """
    plain = [
        re.sub(r"--.*|'[^']*'", "", file.read_text(encoding="utf-8"))
        for file in queries.FOLDER.rglob("*.sql")
    ]
    return {word.lower() for text in plain for word in re.findall(pattern, text)} - TAKEN


def names() -> list[str]:
    """What a table may be called like: our own names, longer forms of them, names of
    queries' parts, and odd ones.
    """
    ours = words(r"\b(our_[a-z0-9_]+)") | {"our_k0", "our_tried", "our_condition"}
    longer = {f"our__{word.removeprefix('our_')}" for word in ours}
    return sorted(ours | longer | words(r"FROM ([a-z]+)\b") | words(r"\) AS ([a-z]+)\b") | set(ODD))


def make(place: Workplace, table: str, columns: Sequence[str], key: str, text: str) -> Target:
    """A table with rows 1 to 3; each further column is a number that is neither key nor hash
    and no state.
    """
    kinds = {key: "bigint PRIMARY KEY", text: "text"}
    made = [(column, kinds.get(column, "integer DEFAULT 7")) for column in [key, text, *columns]]
    parts = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in dict(made).items()
    ]
    named = sql.Identifier(table)
    create = sql.SQL("CREATE TABLE {} ({}, embedding vector(64))").format(
        named, sql.SQL(", ").join(parts)
    )
    quoted = sql.Identifier(text).as_string(place.session.connection())
    place.session.rows(create)
    values = [
        (sql.Literal(int(number)), sql.Literal(value))
        for (number,), value in zip(KEYS, TEXTS, strict=True)
    ]
    rows = sql.SQL(", ").join(sql.SQL("({}, {})").format(*row) for row in values)
    filled = sql.SQL("INSERT INTO {} ({}, {}) VALUES {}")
    place.session.rows(filled.format(named, sql.Identifier(key), sql.Identifier(text), rows))
    return Target(
        TableName("public", table), "embedding", quoted, (KeyColumn(key, "bigint"),), "model-a", 64
    )


@dataclass(frozen=True)
class Tools:
    """What asks and changes rows, each over a connection of its own."""

    store: PostgresStore
    session: Session
    reading: Session
    audit: Audit
    adoption: Adoption


@pytest.fixture
def tools(workplace: Workplace) -> Iterator[Tools]:
    """They, over a database with vectrue's own tables."""
    migrate(workplace)
    settings = workplace.settings.postgres
    with ExitStack() as opened:
        yield Tools(
            opened.enter_context(closing(PostgresStore(settings, role="test"))),
            opened.enter_context(closing(Session(settings.dsn, role="test"))),
            opened.enter_context(closing(ranking.session(settings.dsn))),
            opened.enter_context(closing(Audit(settings))),
            opened.enter_context(closing(Adoption(settings))),
        )


def check(tools: Tools, target: Target) -> None:
    """Each query about a column, on the rows of `make`."""
    read_and_write(tools.store, target)
    count(tools.session, target)
    found = search.nearest(tools.session, target, unit(1), SearchRequest("an apple", limit=3))
    assert [(hit.key, hit.text, hit.is_current) for hit in found] == [(KEYS[0], "an apple", True)]
    assert ranking.texts(tools.reading, target) == {KEYS[0]: "an apple", KEYS[2]: "a pear"}
    assert ranking.missing(tools.reading, target, KEYS) == [KEYS[1]]
    assert ranking.nearest(tools.reading, target, unit(1), 3) == [(KEYS[0], "an apple")]
    states = sorted((group.state, group.findings, group.rows) for group in tools.audit.scan(target))
    assert states == [("blank", (), 1), ("current", (), 1), ("quarantined", (), 1)]
    assert list(tools.audit.all_current(target)) == [KEYS[:1]]
    assert tools.audit.disown_damaged(target) == 0
    assert not sum(tools.adoption.count(target, tools.adoption.horizon()).values())


def read_and_write(store: PostgresStore, target: Target) -> None:
    """Text, blank and hash as they are; a vector, a cleared row, one in quarantine."""
    read = sorted(store.read(target, KEYS).documents, key=lambda row: row.key)
    assert [(row.text or None, row.blank) for row in read] == [
        (text, text is None) for text in TEXTS
    ]
    updates = [Update(KEYS[0], sha256("an apple"), unit(1)), Update(KEYS[1], None, None)]
    refusals = [Refusal(KEYS[2], sha256("a pear") or b"", "for the test", 1)]
    assert set(store.write(target, updates, refusals).values()) == {Written.WRITTEN}
    (first,) = store.read(target, KEYS[:1]).documents
    assert decide(first, target.model) is Decision.CURRENT


def count(session: Session, target: Target) -> None:
    """The same states by each way of counting, and what the text reads."""
    every = Request(only="all")
    assert enumeration.next_keys(session, target, every, KEYS[0], 5) == KEYS[1:]
    for column in (target, target.guard()):
        counted = enumeration.survey(session, column, every, exact=True)
        assert (counted.rows, counted.current, counted.blank, counted.quarantined) == (3, 1, 1, 1)
    assert list(quarantine.states(session, target, KEYS).values()) == [
        "current",
        "blank",
        "quarantined",
    ]
    desk = KeeperStore(session, "names")
    assert (desk.stale(target, 5), desk.sweep(target)) == ({}, 0)
    named = queries.table(target.table).as_string(session.connection())
    ((oid,),) = session.rows("SELECT %s::regclass::oid::bigint", (named,))
    assert list(look(session, target, oid).columns.values()) == [
        (target.text.strip('"').replace('""', '"'),)
    ]


@pytest.mark.parametrize(
    ("key", "text"), [("key", "text"), ("our_ord", "our_text"), ("doc", "state"), ("%s", 'a"b')]
)
def test_a_table_may_have_columns_of_all_these_names(
    workplace: Workplace, tools: Tools, key: str, text: str
) -> None:
    """One table with a column for each word of our SQL, whichever are its key and its
    text.
    """
    target = make(workplace, "rows", sorted({*words(), *names()}), key, text)
    want(workplace, [target])
    check(tools, target)


def test_a_table_may_be_called_so(workplace: Workplace, tools: Tools) -> None:
    """One table for each name, with a key of that name too."""
    for name in names():
        target = make(workplace, name, [], name, f"{name}_")
        want(workplace, [target])
        check(tools, target)
