"""Read what a run came to, from the ledger and from the tables.

Hazard: each look at the tables reads them whole, so few are taken, with pauses between.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from connectors.ports import Clock
from connectors.postgres.audit import coverage
from connectors.postgres.ledger import enumeration
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.session import Session
from schemas.reports.coverage import Coverage
from schemas.reports.replay import Survey
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import stragglers
from streams.replay.keys import Named
from streams.replay.outcome import RunOutcome
from streams.replay.prepared import Prepared

_POLL_SECONDS = 0.25
_DEFERRED_SECONDS = 60.0
"""How long the verdict waits for rows that were locked when their chunk was handled."""
_MOVING_SECONDS = 5.0
"""How long it waits for rows that an application has just written."""


class OutcomeReader:
    """Waits for rows that are still being written, and counts."""

    def __init__(self, settings: Settings, session: Session, clock: Clock) -> None:
        self._settings = settings
        self._session = session
        self._ledger = RunLedger(session)
        self._clock = clock

    def read(self, run: UUID | None, prepared: Prepared, named: Named | None) -> RunOutcome:
        """Return what the run came to.

        Rows that were locked have time to be written first.

        Args:
            run: which; None when there was nothing to do.
            prepared: its request.
            named: what its keys came to; None without keys.
        """
        resumed = prepared.unfinished is not None
        if run is None:
            return self._nothing_done(prepared, named)
        progress = self._ledger.progress(run)
        state = progress[0].state if progress else "done"
        # A row that was locked comes again after a pause, one that moves at once.
        deferred = any(scope.deferred for scope in progress)
        patience = _DEFERRED_SECONDS if deferred else _MOVING_SECONDS
        deadline = self._clock.monotonic() + patience
        while True:
            began = self._clock.monotonic()
            outcome = RunOutcome(
                run=run,
                state=state,
                resumed=resumed,
                progress=progress,
                coverage=self._count(prepared),
                named=named,
            )
            now = self._clock.monotonic()
            may_change = deferred or (state == "done" and _moves(outcome.coverage))
            if outcome.is_true or now >= deadline or not may_change:
                return replace(outcome, standing=self._standing(prepared))
            # Each look reads the whole tables: most of the time they are left alone.
            self._clock.wait(max(_POLL_SECONDS, 5 * (now - began)))

    def _nothing_done(self, prepared: Prepared, named: Named | None) -> RunOutcome:
        asked: list[Coverage] = []
        if prepared.surveys:
            for target, survey in zip(prepared.targets, prepared.surveys, strict=True):
                asked.append(_coverage(target, survey))
        return RunOutcome(
            run=None,
            state="done",
            resumed=False,
            progress=[],
            coverage=asked,
            named=named,
            standing=self._standing(prepared),
        )

    def _count(self, prepared: Prepared) -> list[Coverage]:
        request = prepared.request
        if request.keys:
            return []
        if request.is_whole:
            return self._whole(prepared)
        counted: list[Coverage] = []
        for target in prepared.targets:
            survey = enumeration.survey(self._session, target, request, exact=True)
            counted.append(_coverage(target, survey))
        return counted

    def _standing(self, prepared: Prepared) -> list[Coverage]:
        """Count the whole tables, where a condition named some rows."""
        request = prepared.request
        # The condition may name other rows once the run has written.
        return [] if request.is_whole or request.keys else self._whole(prepared)

    def _whole(self, prepared: Prepared) -> list[Coverage]:
        names: set[tuple[str, str]] = set()
        tables: set[str] = set()
        for target in prepared.targets:
            names.add((str(target.table), target.column))
            tables.add(str(target.table))
        counted: list[Coverage] = []
        # Tables are read whole: a column that the run does not cover comes along.
        for line in coverage.read(self._session, self._settings, tables):
            if (line.table, line.column) in names:
                counted.append(line)
        return counted


def _moves(columns: Sequence[Coverage]) -> bool:
    """Whether so few rows lack a vector that they may be on their way to one."""
    # While an application writes, a few rows always are.
    return any(0 < column.lacking <= stragglers.MOST for column in columns)


def _coverage(target: Target, survey: Survey) -> Coverage:
    return Coverage(
        table=str(target.table),
        column=target.column,
        model=target.model,
        dimensions=target.dimensions,
        rows=survey.rows,
        current=survey.current,
        missing=survey.missing,
        stale_text=survey.stale_text,
        stale_model=survey.stale_model,
        blank=survey.blank,
        quarantined=survey.quarantined,
        unreadable=survey.unreadable,
    )
