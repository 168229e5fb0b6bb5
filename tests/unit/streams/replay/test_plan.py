"""What a replay plan counts and says: the rows it sends, the texts it embeds, its disk and its
rate.
"""

import pytest

from connectors.postgres.ledger.enumeration import RelationFacts
from schemas.reports.replay import NO_ROWS, Request, Survey
from streams.cli.formatting import size
from streams.cli.screen.replay_plan_page import show_plan
from streams.replay.plan import ReplayPlan, ScopePlan, costs
from tests.support.screens.drawing import drawn

SURVEY = Survey(100, 60, 10, 10, 5, 10, 5, 0, 20.0, 40)


def test_what_a_run_sends_and_embeds_follows_from_the_states() -> None:
    """`all` sends every row and embeds what is not current; `--force` embeds all but
    the blank ones.
    """
    asked = [Request("missing"), Request("stale"), Request("all"), Request("all", force=True)]
    assert [(SURVEY.selected(r), SURVEY.to_embed(r)) for r in asked] == [
        (10, 10),
        (25, 25),
        (100, 25),
        (100, 90),
    ]


def test_surveys_of_pages_add_up() -> None:
    """Counts, the mean by the rows that have a text, the largest; nothing is added by
    no rows.
    """
    other = Survey(300, 300, 0, 0, 0, 0, 0, 0, 50.0, 60)
    both = NO_ROWS + SURVEY + other
    assert (both.rows, both.current, both.blank, both.largest_bytes) == (400, 360, 10, 60)
    assert both.mean_bytes == (90 * 20 + 300 * 50) / 390
    assert NO_ROWS + NO_ROWS == NO_ROWS


def test_the_plan_counts_the_vector_its_toast_and_the_row() -> None:
    """A vector of 1,024 numbers is 4,104 bytes in three pieces; a short one stays in
    the row.
    """
    facts = RelationFacts(heap_bytes=100_000, rows=1000, indexes=1, vector_index=False)
    wide, narrow = costs(1024, facts, 1000), costs(64, facts, 1000)
    assert 5400 < wide.disk < 5800  # measured: 5,640
    assert 6100 < wide.wal < 6700  # measured: 6,402
    assert 264 + 220 < narrow.disk < 700


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (4.0, "at 4 rows/s, the limit; run r measured no less"),
        (None, "4 rows/s, as measured in run r"),
    ],
)
def test_a_plan_does_not_take_its_limit_for_what_was_measured(
    limit: float | None, said: str
) -> None:
    """What is asked for now is no figure of an earlier run."""
    scope = ScopePlan(
        "public.a", "embedding", "m", True, 9, 0, 0, 0, 9, 9, 1, 9.0, 9, 4.0, "r", 2.0, 9, 9, False
    )
    with drawn(None) as written:
        show_plan(ReplayPlan(Request(rate=limit), (scope,), 2, 2, 30.0))
    assert f"a: {said}\n" in written.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (17, "17 B"), (1_234_567, "1.2 MB"), (5e11, "500 GB")]
)
def test_sizes_are_shown_for_people(value: float | None, shown: str) -> None:
    """In steps of 1,000; unknown is `-`."""
    assert size(value) == shown
