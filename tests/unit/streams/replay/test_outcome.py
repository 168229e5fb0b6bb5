"""What a replay run says at its end: the rows it handled, and the state of the table."""

from typing import Any
from uuid import UUID

from schemas.reports.coverage import Coverage
from schemas.reports.replay import ScopeProgress
from streams.cli.screen.replay_page import show_outcome, verdict
from streams.replay.outcome import RunOutcome
from tests.support.screens.drawing import drawn
from tests.unit.streams.replay.test_replay_command import handled


def covered(rows: int, current: int, column: str = "embedding", **bad: int) -> Coverage:
    """A column of the same table, `rows - current` of which lack a vector unless they
    are `bad` otherwise.
    """
    states = {
        "missing": rows - current - sum(bad.values()),
        "quarantined": 0,
        "unreadable": 0,
    } | bad
    return Coverage(
        "public.events",
        column,
        "m",
        4,
        rows,
        current,
        stale_text=0,
        stale_model=0,
        blank=0,
        **states,
    )


def test_a_run_ends_with_what_it_handled_and_how_the_table_stands() -> None:
    """Also where its condition names no row any more, since the run has written them
    all (`--since 5m`).
    """
    run, none_left, whole = UUID(int=1), covered(0, 0), covered(600, 600)
    since = RunOutcome(run, "done", False, [handled(embedded=281)], [none_left], None, [whole])
    said = (
        f"run {run} done: 281 rows handled; 600 of 600 rows of public.events are current or blank"
    )
    assert (verdict(since), since.is_true) == (said, True)
    rest = RunOutcome(
        run,
        "done",
        False,
        [handled(embedded=1, quarantined=1)],
        [covered(1, 0, quarantined=1)],
        None,
        [covered(600, 590, quarantined=4)],
    )
    assert verdict(rest).endswith(
        "2 rows handled; 590 of 600 rows of public.events are current or blank, 4 are in quarantine"
    )
    assert not rest.is_true
    assert verdict(RunOutcome(None, "done", False, [], [none_left], None, [whole])) == (
        "nothing to do among the rows asked for: 600 of 600 rows of public.events are current "
        "or blank"
    )
    assert (
        verdict(RunOutcome(None, "done", False, [], [whole]))
        == "nothing to do: 600 of 600 rows are current or blank"
    )


def test_a_row_of_a_table_with_two_columns_is_one_row() -> None:
    """Handled, asked for, good and bad; it is good only where both of its vectors are."""
    both = [handled(embedded=600), handled("embedding_v2", embedded=598, gone=2)]
    seen = [covered(600, 600), covered(600, 597, "embedding_v2", quarantined=3)]
    outcome = RunOutcome(UUID(int=1), "done", False, both, seen)
    assert verdict(outcome).endswith(
        "done: 600 rows handled; 597 of 600 rows are current or blank, 3 are in quarantine"
    )
    one_more = RunOutcome(
        UUID(int=1), "done", False, both, [covered(600, 600), covered(601, 601, "embedding_v2")]
    )
    assert (one_more.good, one_more.rows, one_more.is_true) == (601, 601, True)
    named = RunOutcome(UUID(int=1), "done", False, both, [])
    assert (named.handled, named.good, named.rows, named.gone) == (600, 600, 600, 2)


def test_the_columns_of_the_verdict_make_up_what_was_sent() -> None:
    """Rows that were gone, obsolete or not come to are shown where there are any."""
    counts: dict[str, Any] = {name: i + 1 for i, name in enumerate(ScopeProgress.__slots__[7:17])}
    for scope in (
        handled(**counts, left=5),
        handled(embedded=577, current=20, changed=1, gone=2),
        handled(embedded=1),
    ):
        with drawn(None) as written:
            show_outcome(RunOutcome(UUID(int=1), "done", False, [scope], [covered(600, 600)]))
        heads, cells, *_ = (line.split() for line in written.getvalue().splitlines())
        shown = dict(zip(heads, cells, strict=True))
        assert int(shown["SENT"]) == scope.sent == sum(int(shown[head]) for head in heads[3:])
        assert ("GONE" in shown, "LEFT" in shown) == (scope.gone > 0, scope.sent > scope.done)
