"""`vectrue verify`: find the vectors that are not what vectrue promises, and repair them.

A scan finds what the database alone can tell. `deep` makes vectors of current rows
again and compares: only that finds a vector that was overwritten by another of unit
length.

Repair removes the hash of untrue vectors, so that they count as stale, and runs a
replay over what is stale. The writes carry the worker's replication origin: through the
live lane a large repair would delay live changes.

Hazard: changes that are still on their way are not known. On busy tables, rows that
wait for the worker are counted as untrue, which they are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from connectors.ports import Embedder
from connectors.postgres.audit import coverage, textless
from connectors.postgres.audit.scan import Audit
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.errors import VectrueError
from schemas.reports.audit_report import Deep, RowGroup, Truth
from schemas.reports.replay import Request
from schemas.rows.document import Vector
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import bisect
from streams.common import targets as target_rules
from streams.common.embedders import Embedders
from streams.replay.outcome import RunOutcome
from streams.replay.run import Replay, Started, Watch

Checked = Callable[[str, int, int], None]
"""Called with the column's name, the rows compared so far, and the rows to compare."""

ReadVectors = Callable[[Sequence[Key]], Sequence[tuple[Key, str, Sequence[float], bytes]]]
"""Key, text, vector and the vector's digest of rows; those that are no longer in
question are left out.
"""


class Verify:
    """Checks and repairs the configured tables."""

    def __init__(
        self, settings: Settings, audit: Audit, session: Session, tables: Sequence[str]
    ) -> None:
        """Find the targets.

        Raises:
            ConfigurationError: a table is not configured, or not known to the database
                yet.
        """
        self._batch = settings.model.batch_size
        self._audit = audit
        self._session = session
        self._ledger = RunLedger(session)
        self.targets = target_rules.choose(settings, session, tables)
        # The other tables may have been added to the settings since `init`.
        chosen = {target.table for target in self.targets}
        listed = list(settings.tables)
        if tables:
            listed = []
            for table in settings.tables:
                if table.table in chosen:
                    listed.append(table)
        counting.require(session, settings, listed)

    def scan(self) -> list[Truth]:
        """Judge every row by what the database can tell.

        Raises:
            HiddenRows: row-level security would hide rows.
            VectrueError: there are rows, and none was seen.
        """
        return [self._found(target) for target in self.targets]

    def deep(
        self,
        found: Sequence[Truth],
        models: Embedders,
        count: int | None,
        seed: int,
        watch: Checked,
    ) -> list[Truth]:
        """Make vectors of current rows again and compare them with the stored ones.

        Args:
            found: what `scan` returned.
            models: those that the columns want.
            count: rows drawn at random from each table; None: every row.
            seed: equal seeds draw equal rows of a table that did not change.
            watch: called with the progress.

        Raises:
            TargetMismatch: a column wants another model.
            VectrueError: the model refuses every text.
        """
        compared: list[Truth] = []
        for target, truth in zip(self.targets, found, strict=True):
            model = models.of(target.model)
            deep = self._compare_drawn(target, truth, model, count, seed, watch)
            compared.append(replace(truth, deep=deep))
        return compared

    def again(self, before: Sequence[Truth], models: Embedders | None) -> list[Truth]:
        """Check after a repair.

        Every row is judged by what the database can tell, and those that a comparison
        found untrue are compared again.

        Args:
            before: what the check found before the repair.
            models: those that the columns want; None: nothing is compared.
        """
        found = self.scan()
        if models is None:
            return found
        checked: list[Truth] = []
        for target, truth, old in zip(self.targets, found, before, strict=True):
            now = truth
            if old.deep:
                keys = [row.key for row in old.deep.untrue]
                model = models.of(target.model)
                deep = self._compare(target, model, [keys], lambda _: None)
                now = replace(truth, deep=deep)
            checked.append(now)
        return checked

    def refuse_unfinished_replay(self) -> None:
        """Let a repair begin only when no replay of these columns is unfinished.

        Raises:
            VectrueError: with the run and what to do.
        """
        names = [target.name for target in self.targets]
        run = self._ledger.in_the_way(names, Request("stale"))
        # That run has passed some keys already, and would leave out the rows that a
        # repair makes stale behind it.
        if run is not None:
            raise VectrueError(
                f"replay run {run.run} ({run.request.options}) over {', '.join(run.columns)} "
                f"{run.standing}: nothing was repaired",
                fix=f"call `{run.go_on}` or `vectrue replay cancel {run.run}`, then repeat",
            )

    def repair(
        self, found: Sequence[Truth], replay: Replay, started: Started, watch: Watch
    ) -> tuple[int, RunOutcome]:
        """Make every untrue row stale, and replay what is stale to the end.

        Args:
            found: what the check found.
            replay: runs the replay.
            started: called with the run.
            watch: called with the ledger's progress.

        Returns:
            How many vectors lost their hash, and what the run came to.

        Raises:
            VectrueError: a replay of these columns is not finished; nothing was
                changed.
        """
        self.refuse_unfinished_replay()
        disowned = 0
        for target, truth in zip(self.targets, found, strict=True):
            if truth.disowned:
                disowned += self._audit.disown_damaged(target)
            if truth.deep and truth.deep.untrue:
                # By digest: a vector that was written since the check is left alone.
                untrue = [(row.key, row.digest) for row in truth.deep.untrue]
                disowned += self._audit.disown(target, untrue)
        names: dict[str, None] = {}
        for target in self.targets:
            names[str(target.table)] = None
        return disowned, replay.run("stale", list(names), started, watch)

    def _found(self, target: Target) -> Truth:
        found = Truth(str(target.table), target.column, target.model, tuple(self._judged(target)))
        blank = found.count("blank")
        seen = textless.look(self._session, target, blank=blank, rows=found.rows)
        return replace(found, textless=seen)

    def _judged(self, target: Target) -> list[RowGroup]:
        groups = self._audit.scan(target)
        if groups or coverage.is_empty(self._session, target.table):
            return groups
        # A row may have come since the first scan.
        groups = self._audit.scan(target)
        if not groups:
            raise coverage.unseen(target.table)
        return groups

    def _compare_drawn(
        self,
        target: Target,
        truth: Truth,
        embedder: Embedder,
        count: int | None,
        seed: int,
        watch: Checked,
    ) -> Deep:
        current = truth.count("current")
        wanted = current if count is None else min(count, current)
        pages: Iterable[list[Key]]
        if count is None or count >= current:
            pages = self._audit.all_current(target)
        else:
            pages = [self._audit.draw(target, count, current, seed)]
        return self._compare(target, embedder, pages, lambda done: watch(target.name, done, wanted))

    def _compare(
        self,
        target: Target,
        embedder: Embedder,
        pages: Iterable[Sequence[Key]],
        watch: Callable[[int], None],
    ) -> Deep:
        read = partial(self._audit.vectors, target)
        batches = in_batches(pages, self._batch)
        return compare(read, embedder, target.dimensions, batches, watch)


def compare(
    read: ReadVectors,
    embedder: Embedder,
    dimensions: int,
    batches: Iterable[Sequence[Key]],
    watch: Callable[[int], None],
) -> Deep:
    """Make vectors again and compare them with the stored ones.

    Args:
        read: key, text, vector and digest of the rows that are still to be compared.
        embedder: the model that is said to have made them.
        dimensions: length of a vector.
        batches: keys, as many at a time as the model takes.
        watch: called with the number of rows that are done.

    Raises:
        VectrueError: the model refuses every text.
    """
    deep = Deep()
    for keys in batches:
        rows = read(keys)
        deep.skipped += len(keys) - len(rows)
        texts = [text for _, text, _, _ in rows]
        encoded = bisect.encode(embedder, texts, dimensions)
        deep.refused += len(encoded.refused)
        for position, vector in encoded.vectors.items():
            key, _, numbers, digest = rows[position]
            deep.add(key, cosine(np.array(numbers, np.float32), vector), digest)
        watch(deep.checked + deep.skipped + deep.refused)
    return deep


def cosine(stored: Vector, made: Vector) -> float | None:
    """Return the cosine of two vectors float32[n], from -1 to 1.

    Returns:
        None when their lengths differ, or one of them has no direction.
    """
    if stored.shape != made.shape:
        return None
    # In float64: a long sum of float32 products loses digits.
    a, b = stored.astype(np.float64), made.astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    if not np.isfinite(lengths) or lengths == 0:
        return None
    return float(np.dot(a, b)) / lengths


def in_batches(pages: Iterable[Sequence[Key]], size: int) -> Iterator[Sequence[Key]]:
    """Yield pages of keys in parts of at most `size`."""
    for keys in pages:
        for start in range(0, len(keys), size):
            yield keys[start : start + size]
