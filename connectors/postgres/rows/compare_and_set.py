"""One attempt to write rows, within its transaction.

It locks, compares and sets, and sees what the table's own constraints and triggers make
of it.

Hazard: rows are named by their position among the updates. Positions are what the
queries call `our_ord`, and start at 0; only `lock_rows` counts from 1.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import structlog
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.rows import copy, other_rows, table_refusals, wanted
from connectors.postgres.rows.keys import key_arrays
from connectors.postgres.rows.stages import Stages
from connectors.postgres.rows.trigger_changes import TriggerChanges
from schemas.errors import TargetMismatch
from schemas.rows.document import Refusal, Update, Vector, WriteOutcome, Written
from schemas.rows.table import Key
from schemas.rows.target import Target

log = structlog.get_logger()

_OTHER_VECTOR = "a trigger of the table puts another vector in the place of the one that is written"


class RowWrite:
    """The updates of one transaction.

    Attributes:
        outcome: what became of each key; LOCKED until `run` has found out.
        refusals: rows that go to quarantine, filled by `run`.
    """

    def __init__(
        self, cursor: Cursor, stages: Stages, target: Target, updates: Sequence[Update]
    ) -> None:
        self._cursor = cursor
        self._stages = stages
        self._target = target
        self._updates = updates
        self._trigger_changes = TriggerChanges()
        self._refused: table_refusals.Refused = {}
        keys = self._keys(range(len(updates)))
        self.outcome = WriteOutcome(dict.fromkeys(keys, Written.LOCKED))
        self.refusals: list[Refusal] = []

    def run(self) -> None:
        """Write the rows that no other transaction holds.

        Raises:
            psycopg2.Error: an error that is not about a row.
            TargetMismatch: the database wants another model or another text here.
            VectrueError: the table refused every row.
        """
        if not self._updates:
            return
        # A deferred constraint or trigger would refuse at COMMIT, where the server does
        # not say which row it was.
        self._cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        mine = self._lock()
        written = self._write(mine)
        self._note_outcome(mine, written)
        reasons = self._reasons()
        if self._trigger_changes.vectors:
            self._in_halves(self._disown, sorted(self._trigger_changes.vectors))
            reasons.update(dict.fromkeys(self._trigger_changes.vectors, _OTHER_VECTOR))
        self._refuse(reasons)
        if written:
            done = key_arrays(self._keys(written))
            self._cursor.execute(queries.for_target("release_rows", self._target), done)
        if mine - written - self._trigger_changes.texts.keys() - self._trigger_changes.vectors:
            self._check_target()

    def _lock(self) -> set[int]:
        """Lock the rows that are free, without waiting."""
        query = queries.for_target("lock_rows", self._target)
        self._cursor.execute(query, key_arrays(self._keys(range(len(self._updates)))))
        return {ord_ - 1 for ord_ in self._positions()}

    def _write(self, mine: set[int]) -> set[int]:
        """Set or clear the vectors; returns the rows that kept what was written."""
        vectors: list[int] = []
        clears: list[int] = []
        for i in sorted(mine):
            chosen = clears if self._updates[i].vector is None else vectors
            chosen.append(i)
        written = set(self._in_halves(self._set, vectors))
        written.update(self._in_halves(self._clear, clears))
        return written - self._trigger_changes.texts.keys() - self._trigger_changes.vectors

    def _in_halves(self, work: table_refusals.Work, chosen: Sequence[int]) -> list[int]:
        return table_refusals.in_halves(
            self._cursor,
            work,
            chosen,
            self._refused,
            table=str(self._target.table),
            takes_others=self._takes_others,
        )

    def _note_outcome(self, mine: set[int], written: set[int]) -> None:
        for i in mine - self._refused.keys():
            result = Written.WRITTEN if i in written else Written.CHANGED
            self.outcome[self._updates[i].key] = result
        for i, hash_ in self._trigger_changes.texts.items():
            key = self._updates[i].key
            self.outcome[key] = Written.AGAIN
            self.outcome.given[key] = hash_

    def _reasons(self) -> dict[int, str]:
        """Why rows go to quarantine; those that may be taken later are left out."""
        reasons = {}
        for i, error in self._refused.items():
            if not table_refusals.may_pass(error):
                reasons[i] = table_refusals.reason(error)
        return reasons

    def _refuse(self, reasons: Mapping[int, str]) -> None:
        for i, reason in reasons.items():
            update = self._updates[i]
            log.warning(
                "row goes to quarantine",
                table=str(self._target.table),
                key=update.key,
                reason=reason,
            )
            self.outcome[update.key] = Written.QUARANTINED
            self.refusals.append(Refusal(update.key, update.hash or b"", reason, 1))

    def _set(self, chosen: Sequence[int]) -> list[int]:
        if not chosen:
            return []
        vectors = self._vectors(chosen)
        stage = self._stages.fill(self._cursor, self._target, chosen, vectors)
        parameters = self._parameters(chosen)
        parameters["hashes"] = [self._updates[i].hash for i in chosen]
        parameters["digests"] = copy.digests(vectors)
        query = queries.for_target("write_vectors", self._target, stage=stage)
        self._cursor.execute(query, parameters)
        return self._compared(parameters)

    def _clear(self, chosen: Sequence[int]) -> list[int]:
        if not chosen:
            return []
        nothing = [None] * len(chosen)
        parameters = self._parameters(chosen)
        parameters.update(hashes=nothing, digests=nothing)
        self._cursor.execute(queries.for_target("clear_vectors", self._target), parameters)
        return self._compared(parameters)

    def _compared(self, parameters: dict[str, object]) -> list[int]:
        """Return the positions that the UPDATE wrote; note what triggers made of them."""
        written = self._positions()
        self._cursor.execute(queries.for_target("trigger_changes", self._target), parameters)
        self._trigger_changes.note(self._cursor.fetchall(), written)
        return written

    def _disown(self, chosen: Sequence[int]) -> list[int]:
        query = queries.for_target("disown_rows", self._target)
        self._cursor.execute(query, self._parameters(chosen))
        return self._positions()

    def _positions(self) -> list[int]:
        return [int(ord_) for (ord_,) in self._cursor.fetchall()]

    def _takes_others(self, chosen: Sequence[int]) -> bool:
        """Whether the table takes the first of these vectors for a row beside these."""
        cursor = self._cursor
        vector: sql.Composable = sql.SQL("NULL")
        # Nothing of the trial stays, the staged vector included.
        cursor.execute("SAVEPOINT vectrue_vector")
        if self._updates[chosen[0]].vector is not None:
            first = chosen[:1]
            stage = self._stages.fill(cursor, self._target, first, self._vectors(first))
            vector = sql.SQL(
                "(SELECT our_stage.our_vector FROM {} AS our_stage WHERE our_stage.our_ord = {})"
            ).format(stage, sql.Literal(chosen[0]))
        taken = other_rows.take(cursor, self._target, self._keys(chosen), vector)
        cursor.execute("ROLLBACK TO SAVEPOINT vectrue_vector; RELEASE SAVEPOINT vectrue_vector")
        return taken

    def _keys(self, chosen: Iterable[int]) -> list[Key]:
        return [self._updates[i].key for i in chosen]

    def _vectors(self, chosen: Sequence[int]) -> Vector:
        """The vectors at these positions, which all have one: float32[n, dimensions]."""
        found = []
        for i in chosen:
            vector = self._updates[i].vector
            if vector is not None:
                found.append(vector)
        return np.stack(found)

    def _parameters(self, chosen: Sequence[int]) -> dict[str, object]:
        target = self._target
        return {
            **key_arrays(self._keys(chosen)),
            **wanted.place(target),
            "ords": list(chosen),
            "model": target.model,
            "dimensions": target.dimensions,
            "relation": queries.table(target.table).as_string(self._cursor),
        }

    def _check_target(self) -> None:
        """Raise TargetMismatch unless the database still wants what is written."""
        target = self._target
        found = wanted.within(self._cursor, target)
        if found is None or found[:2] != (target.model, target.dimensions):
            shown = f"{found.model} ({found.dimensions} dimensions)" if found else "nothing"
            raise TargetMismatch(
                f"{target.name} wants vectors of {shown}, this worker makes {target.model} "
                f"({target.dimensions})",
                fix="run `vectrue init` with the model you want, then restart the workers",
            )
        if found.text_digest != target.text_digest.hex():
            raise TargetMismatch(
                f"{target.name} wants vectors of another text than this worker's settings say",
                fix=(
                    "run `vectrue init` with the text you want, then restart the workers with "
                    "these settings"
                ),
            )
