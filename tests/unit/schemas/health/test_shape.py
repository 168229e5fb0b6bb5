"""What differs from what is configured, and what each difference does to a worker."""

import dataclasses
from typing import Any

import pytest

from schemas.health.shape import (
    Effect,
    PublicationShape,
    Shape,
    SlotShape,
    TableShape,
    Trouble,
    compare,
)
from schemas.rows.snapshot import is_before
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn

NAME = TableName("public", "posts")
COLUMNS = ("embedding", "embedding_hash", "embedding_model", "embedded_at")
TABLE = TableShape(
    NAME,
    1,
    kind="r",
    key=(KeyColumn("id", "bigint", "N"),),
    key_types=("bigint",),
    columns={
        "embedding": "vector(64)",
        "embedding_hash": "bytea",
        "embedding_model": "text",
        "embedded_at": "time",
    },
    wanted=(COLUMNS,),
    published=True,
)
FINE = Shape(
    "worker",
    "app",
    (TABLE,),
    PublicationShape(True, True, (NAME,)),
    SlotShape("pgoutput", "app", "reserved"),
)
HIDES = Trouble(
    "row-level security of table topics would hide rows from role worker", "fix", hides=True
)


def seen(shape: Shape) -> list[tuple[Effect, str]]:
    found = compare(shape, publication="vectrue", slot="vectrue")
    return [(one.effect, one.difference.sentence) for one in found]


def test_nothing_differs_where_everything_is_as_configured() -> None:
    """No difference, so nothing to say."""
    assert seen(FINE) == []


@pytest.mark.parametrize(
    ("changed", "effect", "said"),
    [
        (
            {"hides_rows": True},
            Effect.STOP,
            "row-level security of table public.posts would hide rows from role worker",
        ),
        ({"hides_rows": True, "published": False}, Effect.STOP, "row-level security"),
        ({"trouble": HIDES}, Effect.STOP, "table topics"),
        (
            {"trouble": Trouble("the text is no valid expression", "fix")},
            Effect.STOP,
            "no valid expression",
        ),
        ({"trouble": Trouble("no right", "fix"), "published": False}, Effect.MISSED, "no right"),
        ({"kind": "v"}, Effect.STOP, "public.posts is a view"),
        ({"kind": "v", "published": False}, Effect.MISSED, "public.posts is a view"),
        ({"oid": None}, Effect.MISSED, "there is no table public.posts"),
        ({"columns": {"embedding": "vector(64)"}}, Effect.STOP, "has no column embedding_hash"),
        (
            {"columns": {**TABLE.columns, "embedding": "text"}},
            Effect.STOP,
            "is of type text, not vector",
        ),
        ({"persistence": "u"}, Effect.MISSED, "is not permanent"),
        ({"published": False}, Effect.MISSED, "is not published by publication vectrue"),
        ({"filtered": True}, Effect.MISSED, "some rows of table public.posts only"),
        ({"listed": ("other",)}, Effect.NAMED, "leaves out key column id"),
        ({"key": (), "key_types": ()}, Effect.NAMED, "has no primary key"),
        (
            {"key_types": ("double precision",)},
            Effect.NAMED,
            "do not come through capture unchanged",
        ),
        ({"key_usable": False}, Effect.NAMED, "is deferrable"),
        ({"identity": "n"}, Effect.NAMED, "has no replica identity"),
        ({"identity": "lost"}, Effect.NAMED, "has no replica identity"),
    ],
)
def test_what_a_table_may_differ_in(changed: dict[str, Any], effect: Effect, said: str) -> None:
    """Each is named once at least, and stops a worker only where it harms rows whose
    changes arrive.
    """
    found = seen(dataclasses.replace(FINE, tables=(dataclasses.replace(TABLE, **changed),)))
    assert [one for one, sentence in found if said in sentence] == [effect]


def test_a_swapped_table_is_named_with_what_is_published_in_its_place() -> None:
    """The publication follows the relation, not its name."""
    other = PublicationShape(
        True, True, (TableName("vectrue", "canary"), TableName("public", "old"))
    )
    shape = dataclasses.replace(
        FINE, tables=(dataclasses.replace(TABLE, published=False),), publication=other
    )
    instead = "; of schema public it publishes public.old: its changes are not captured"
    said = f"table public.posts is not published by publication vectrue{instead}"
    assert seen(shape) == [(Effect.MISSED, said)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"publication": None}, "there is no publication vectrue"),
        ({"publication": PublicationShape(False, True, (NAME,))}, "leaves out inserts or updates"),
        ({"slot": None}, "there is no replication slot"),
        ({"slot": SlotShape("pgoutput", "app", "lost")}, "is lost"),
        ({"slot": SlotShape("pgoutput", "other", "reserved")}, "is for pgoutput in database other"),
        ({"slot": SlotShape(None, None, "reserved")}, "is for physical replication in database -"),
    ],
)
def test_what_capture_may_lack(changed: dict[str, Any], said: str) -> None:
    """It concerns all tables; the worker goes on, and everything is looked at."""
    ((effect, sentence),) = seen(dataclasses.replace(FINE, **changed))
    assert effect is Effect.MISSED
    assert said in sentence


def test_a_partitioned_table_is_published_through_its_root() -> None:
    """Otherwise its events name partitions."""
    directly = PublicationShape(True, False, (NAME,))
    assert seen(dataclasses.replace(FINE, publication=directly)) == []
    parted = dataclasses.replace(
        FINE, tables=(dataclasses.replace(TABLE, kind="p"),), publication=directly
    )
    assert "through their root" in seen(parted)[0][1]


@pytest.mark.parametrize(
    ("xid", "other", "answer"),
    [(5, 6, True), (6, 6, True), (7, 6, False), (2**32 - 1, 3, True), (3, 2**32 - 1, False)],
)
def test_transactions_are_ordered_around_the_end_of_their_numbers(
    xid: int, other: int, answer: bool
) -> None:
    """As Postgres compares 32-bit ids; a transaction is not after itself."""
    assert is_before(xid, other) is answer
