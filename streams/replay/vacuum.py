"""What to do about a table after a replay.

Each vector written leaves an old row version, and VACUUM frees it.

Hazard: the figures are the statistics collector's and trail by about a second; a table
that autovacuum has just cleaned is left out.
"""

from collections.abc import Sequence

from connectors.postgres import queries
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.session import Session
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.sizes import show_size

_LEAST_DEAD = 10_000
_SHARE = 0.2
"""Of the live rows; the default of autovacuum_vacuum_scale_factor, at which it would
begin on its own.
"""


def after(session: Session, targets: Sequence[Target]) -> list[str]:
    """Return one sentence per table that has many dead row versions."""
    ledger = RunLedger(session)
    lines: list[str] = []
    # One sentence a table, however many of its columns were written.
    tables: dict[TableName, Target] = {}
    for target in targets:
        tables[target.table] = target
    for target in tables.values():
        live, dead, size, vacuumed = ledger.dead_rows(target)
        # The figures trail behind an autovacuum that has just ended.
        if dead >= _LEAST_DEAD and dead > _SHARE * live and not vacuumed:
            name = queries.table(target.table).as_string(session.connection())
            lines.append(
                f"{target.table} has {dead:,} dead row versions beside {live:,} live ones, "
                f"{show_size(size)} in all: VACUUM (ANALYZE) {name} makes their space free "
                "for new rows; autovacuum does it sooner or later"
            )
    return lines
