"""Lengths of vectors: declared, held, wanted and made; and what comes next.

Hazard: a command that is proposed here may drop vectors. It says so, and never stands
alone where a migration would keep them.
"""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lengths:
    """The numbers of dimensions that meet in one vector column.

    Attributes:
        table: schema.table.
        column: its vector column.
        declared: N of vector(N); None where it is declared without.
        held: different lengths among a thousand of its vectors.
        wanted: what the database wants; None before `vectrue init`.
        wanted_model: name of the model that it wants.
        made: what the settings' model makes; None where that is not known or does not
            matter.
        made_model: its name.
        migrating: whether a migration of this column is under way; the database alone
            says then what is wanted.
        behind: whether other columns are on their way, or went, from its model to the
            settings' one.
        ahead: whether a column is on its way, or went, from the settings' model to the
            one that this one has.
    """

    table: str
    column: str
    declared: int | None
    held: tuple[int, ...]
    wanted: int | None
    wanted_model: str | None
    made: int | None
    made_model: str | None
    migrating: bool = False
    behind: bool = False
    ahead: bool = False

    @property
    def due(self) -> int | None:
        """The length that the column should have now."""
        return self.made if self.wanted is None else self.wanted

    @property
    def sentence(self) -> str:
        """What is what."""
        declared = "" if self.declared is None else f"({self.declared})"
        held = " and ".join(f"{length:,}" for length in self.held) or "no vector yet"
        parts = [f"declared vector{declared}", f"rows hold {held}"]
        if self.wanted is not None and (self.wanted != self.made or self.migrating):
            parts.append(f"the database wants {self.wanted} ({self.wanted_model})")
        if self.made is not None and not self.migrating:
            parts.append(f"{self.made_model} makes {self.made}")
        return ", ".join(parts)

    @property
    def fix(self) -> str | None:
        """The command that comes next; None where all agree."""
        if self.due is None or (self._fits and set(self.held) <= {self.due} and not self._moves):
            return None
        # While a migration is under way its own steps decide; any other advice would undo them.
        if self.migrating:
            return "vectrue migrate status, which names the next step"
        if not self._fits:
            return self._alter(self.due)
        if self._moves and self.ahead:
            return (
                f"set [model] to {self.wanted_model} with {self.wanted} dimensions in vectrue.toml"
            )
        if self._moves and self.behind:
            return f"{self._start} -t {shlex.quote(self.table)}"
        if self._moves:
            return (
                f"set [model] to {self.wanted_model} with {self.wanted} dimensions again, then "
                f"{self._start}"
            )
        if self.wanted is None:
            return "vectrue init, then vectrue replay run"
        return "vectrue replay run --only stale, then vectrue verify --repair"

    @property
    def _start(self) -> str:
        return f"vectrue migrate start --model {self.made_model} --dimensions {self.made}"

    @property
    def _fits(self) -> bool:
        return self.declared in (None, self.due)

    @property
    def _moves(self) -> bool:
        """Whether the settings name another length than the database wants.

        Or a model that other columns went to, or came from.
        """
        known = not self.migrating and None not in (self.wanted, self.made)
        return known and (self.behind or self.ahead or self.wanted != self.made)

    def _alter(self, length: int) -> str:
        change = f'ALTER TABLE {self.table} ALTER COLUMN "{self.column}" TYPE vector({length})'
        if not self.held:
            return f"{change}; then vectrue {'init' if self.wanted is None else 'replay run'}"
        # pgvector casts no vector to another number of dimensions.
        change += " USING NULL, which drops all vectors at once"
        if self.wanted is None:
            return (
                f"name a model that fits in [model]; or {change}, then vectrue init and vectrue "
                "replay run"
            )
        return f"{change}, then vectrue replay run"
