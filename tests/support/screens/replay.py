"""Pages of `vectrue replay`."""

from dataclasses import replace

from schemas.reports.replay import Request, Run, ScopeProgress
from streams.cli.screen import (
    replay_page,
    replay_plan_page,
)
from streams.replay.control import RunStatus
from streams.replay.outcome import RunOutcome
from streams.replay.plan import ReplayPlan, ScopePlan
from tests.support.screens.names import COLUMN, LONG, MODEL, NOW, RUN


def _scope(table: str, column: str) -> ScopeProgress:
    return ScopeProgress(
        table,
        column,
        "running",
        1_000_000,
        True,
        1_000_000,
        431_204,
        430_000,
        0,
        1_201,
        0,
        0,
        0,
        0,
        3,
        0,
        0,
    )


def status(wide: bool) -> None:
    run = Run(RUN, "running", NOW, None, None, None, (), Request(since=NOW, rate=500.0))
    scopes = (_scope("public.questions", "embedding"), _scope(LONG, COLUMN))
    replay_page.show_statuses(
        [RunStatus(run, scopes, {None: 1_912.0, "public.questions.embedding": 1_912.0})], wide=wide
    )


def outcome(wide: bool) -> None:
    one, other = (
        replace(_scope(table, column), state="done", sent=431_204)
        for table, column in (("public.questions", "embedding"), (LONG, COLUMN))
    )
    scopes = (replace(one, current=1_199, gone=2), other)
    replay_page.show_outcome(RunOutcome(RUN, "done", False, scopes, []))


def plan(wide: bool) -> None:
    scopes = tuple(
        ScopePlan(
            table,
            column,
            MODEL,
            True,
            1_204_331,
            1_100_000,
            419,
            0,
            104_331,
            103_912,
            408,
            612.0,
            81_920,
            141.0,
            str(RUN),
            737.0,
            912_000_000,
            510_000_000,
            True,
        )
        for table, column in (("public.questions", "embedding"), (LONG, COLUMN))
    )
    replay_plan_page.show_plan(ReplayPlan(Request(), scopes, 2, 2, 30.0, None))
