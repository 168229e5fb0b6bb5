"""The next command, for every way in which the lengths of a column can disagree."""

from dataclasses import replace

import pytest

from schemas.rows.dimensions import Lengths

WELL = Lengths("public.q", "v", 64, (64,), 64, "lexical", 64, "lexical")


def test_agreement_needs_no_command() -> None:
    """All alike, or nothing held, or no length declared: no command, and what the
    database wants is not repeated.
    """
    for fine in (
        WELL,
        replace(WELL, held=()),
        replace(WELL, declared=None),
        replace(WELL, wanted=None),
    ):
        assert fine.fix is None
    assert WELL.sentence == "declared vector(64), rows hold 64, lexical makes 64"


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        (
            {"made": 128, "made_model": "m"},
            (
                "set [model] to lexical with 64 dimensions again, then "
                "vectrue migrate start --model m --dimensions 128"
            ),
        ),
        (
            {"declared": 32, "held": (32,)},
            (
                'ALTER TABLE public.q ALTER COLUMN "v" TYPE vector(64) USING NULL, which '
                "drops all vectors at once, then vectrue replay run"
            ),
        ),
        (
            {"declared": 32, "held": ()},
            ('ALTER TABLE public.q ALTER COLUMN "v" TYPE vector(64); then vectrue replay run'),
        ),
        (
            {"declared": 32, "held": (), "wanted": None},
            ('ALTER TABLE public.q ALTER COLUMN "v" TYPE vector(64); then vectrue init'),
        ),
        (
            {"declared": 32, "held": (32,), "wanted": None},
            (
                "name a model that fits in [model]; or ALTER TABLE public.q "
                'ALTER COLUMN "v" TYPE vector(64) USING NULL, which drops all vectors at once, '
                "then vectrue init and vectrue replay run"
            ),
        ),
        (
            {"declared": None, "held": (32, 64)},
            "vectrue replay run --only stale, then vectrue verify --repair",
        ),
        (
            {"declared": None, "held": (32,), "wanted": None},
            "vectrue init, then vectrue replay run",
        ),
        ({"declared": 32, "migrating": True}, "vectrue migrate status, which names the next step"),
        (
            {"made": None, "declared": 32, "held": ()},
            ('ALTER TABLE public.q ALTER COLUMN "v" TYPE vector(64); then vectrue replay run'),
        ),
    ],
)
def test_each_disagreement_has_its_command(changes: dict[str, object], fix: str) -> None:
    """The very command, with the table, the column and the numbers in it."""
    assert replace(WELL, **changes).fix == fix  # type: ignore[arg-type] # fields by name


def test_a_migration_that_is_under_way_is_no_disagreement() -> None:
    """The served column holds the old model's length until the swap, whatever the
    settings name.
    """
    moving = replace(WELL, made=128, migrating=True)
    assert moving.fix is None
    assert moving.sentence == "declared vector(64), rows hold 64, the database wants 64 (lexical)"
