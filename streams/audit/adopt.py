"""`vectrue adopt`: keep vectors that the application made with the wanted model.

A sample is embedded again and compared; if all of it agrees, the provenance of all
vectors is written.

Hazard: a row does not show that its text was edited and its vector was not. So only
what was written before a horizon is adopted, and only once the live worker has handled
every change before it: an edit since `vectrue init` has then been embedded, and an edit
since the horizon will be. For edits before `vectrue init` the sample is the only
evidence: the application must have made a new vector with each of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from connectors.kafka.offsets import Offsets
from connectors.ports import Clock
from connectors.postgres.audit.adoption import Adoption, Horizon, Page
from connectors.postgres.session import Session
from connectors.postgres.setup import slot
from schemas.errors import TargetMismatch, VectrueError
from schemas.reports.adoption import Candidates
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.audit.caught_up import CaughtUp
from streams.audit.verify import Checked, compare, in_batches
from streams.common import targets as target_rules
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy

_PASSES = 5
_PASS_PAUSE_SECONDS = 1.0
"""Rows that others hold are tried again, after a pause each time."""


class Adopt:
    """Adopts vectors of the named tables; in this order: `look`, `sample`, `stamp`."""

    def __init__(
        self,
        settings: Settings,
        adoption: Adoption,
        session: Session,
        clock: Clock,
        *,
        tables: Sequence[str],
        model: str,
    ) -> None:
        """Find the targets.

        Args:
            settings: name the tables.
            adoption: the rows.
            session: another connection to them.
            clock: waits.
            tables: names of configured tables.
            model: id or name of the model that is said to have made the vectors.

        Raises:
            ConfigurationError: a table is not configured, or not known to the database
                yet.
            TargetMismatch: a table wants no vectors of this model.
        """
        self._settings = settings
        self._adoption = adoption
        self._session = session
        self._clock = clock
        self._retry = RetryPolicy(
            clock, seconds=settings.live.retry_seconds, lane="command", waits_for_tables=True
        )
        self.targets = of_model(target_rules.choose(settings, session, tables), model)
        # Nothing is before this one, so nothing can be adopted without a `look`.
        self._horizon = Horizon(0, 0)

    def look(self, offsets: Offsets, tell: Callable[[str], None]) -> list[Candidates]:
        """Wait until the changes before this moment are handled, then count.

        Args:
            offsets: of the live group.
            tell: called with the reason why it waits.

        Returns:
            What can be adopted, for each target.

        Raises:
            VectrueError: they are not handled.
        """
        # Taken first: only what was written before it is adopted.
        self._horizon = self._adoption.horizon()
        read_slot = partial(slot.position, self._session, self._settings.slot)
        handled = CaughtUp(self._settings, offsets, read_slot, self._clock)
        prefix = self._settings.kafka.topic_prefix
        topics: dict[str, None] = {}
        for target in self.targets:
            topics[target.table.topic(prefix)] = None
        handled.wait(self._horizon, [*topics, self._settings.deferred_topic], tell)
        found: list[Candidates] = []
        for target in self.targets:
            count = self._adoption.count(target, self._horizon)
            found.append(Candidates(str(target.table), target.column, target.model, count))
        return found

    def sample(
        self,
        found: Sequence[Candidates],
        models: Embedders,
        count: int | None,
        seed: int,
        watch: Checked,
    ) -> list[Candidates]:
        """Make vectors of drawn rows again and compare.

        Args:
            found: what `look` returned.
            models: those that the columns want.
            count: rows drawn from each table; None: all of them.
            seed: equal seeds draw equal rows of a table that did not change.
            watch: called with the progress.

        Raises:
            VectrueError: the model refuses every text.
        """
        sampled: list[Candidates] = []
        for target, candidates in zip(self.targets, found, strict=True):
            seen = candidates
            if candidates.adoptable:
                seen = self._sample(target, candidates, models, count, seed, watch)
            sampled.append(seen)
        return sampled

    def stamp(self, found: Sequence[Candidates], watch: Checked) -> list[Candidates]:
        """Write the provenance, page by page.

        After a kill, calling it again continues: nothing is done twice.

        Args:
            found: what `sample` returned.
            watch: called with the progress.

        Raises:
            VectrueError: a sample disagrees with the model; nothing was written.
            TargetMismatch: another model is wanted meanwhile.
        """
        require_proof(found)
        stamped: list[Candidates] = []
        for target, candidates in zip(self.targets, found, strict=True):
            adopted = self._stamp(target, candidates, watch)
            stamped.append(adopted)
        return stamped

    def _sample(
        self,
        target: Target,
        found: Candidates,
        models: Embedders,
        count: int | None,
        seed: int,
        watch: Checked,
    ) -> Candidates:
        among = found.adoptable
        wanted = among if count is None else min(count, among)
        pages: Iterable[Sequence[Key]]
        if wanted == among:
            pages = self._adoption.keys(target, self._horizon)
        else:
            pages = [self._adoption.draw(target, self._horizon, wanted, among, seed)]
        deep = compare(
            partial(self._adoption.vectors, target, self._horizon),
            models.of(target.model),
            target.dimensions,
            in_batches(pages, self._settings.model.batch_size),
            lambda done: watch(target.name, done, wanted),
        )
        return replace(found, sample=deep)

    def _stamp(self, target: Target, found: Candidates, watch: Checked) -> Candidates:
        adopted, locked = 0, 0
        refused: dict[Key, str] = {}
        # Rows that the application has locked are left for the next pass.
        for attempt in range(_PASSES):
            if attempt:
                self._clock.wait(_PASS_PAUSE_SECONDS)
            locked = 0
            for page in self._pages(target):
                adopted += page.adopted
                locked += page.locked
                refused |= page.refused
                watch(target.name, adopted, found.adoptable)
            if locked == 0:
                break
        return replace(found, adopted=adopted, locked=locked, refused=refused)

    def _pages(self, target: Target) -> Iterator[Page]:
        for keys in self._adoption.keys(target, self._horizon):
            yield self._retry.call(self._adoption.adopt, target, self._horizon, keys)


def require_proof(found: Sequence[Candidates]) -> None:
    """Go on only if every sample agrees with its model.

    Raises:
        VectrueError: with the first that does not, and what to do instead.
    """
    for candidates in found:
        if candidates.complaint:
            raise VectrueError(
                f"{candidates.complaint}: nothing was adopted",
                fix=f"embed them instead: `vectrue replay run --only stale -t {candidates.table}`",
            )


def of_model(targets: Sequence[Target], model: str) -> list[Target]:
    """Return the targets that want the model.

    Args:
        targets: to choose from.
        model: its id, or the name in it.

    Raises:
        TargetMismatch: a table has no such target.
    """
    found: list[Target] = []
    tables: set[TableName] = set()
    for target in targets:
        if model in (target.model, _name(target)):
            found.append(target)
            tables.add(target.table)
    # During a migration the other column of such a table wants another model.
    for target in targets:
        if target.table not in tables:
            raise TargetMismatch(
                f"{target.name} wants vectors of {target.model}, not of {model}",
                fix=f"if that model made them, --model {_name(target)}; else `vectrue replay run`",
            )
    return found


def _name(target: Target) -> str:
    return target.model.rpartition("@")[0]
