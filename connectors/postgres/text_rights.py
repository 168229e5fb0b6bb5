"""What a role needs for a text besides columns: the schemas that its names are found in, and the functions it calls.

Hazard: a function that is called by another one is not known before it runs; PostgreSQL's own message then names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.postgres import meaning, queries
from connectors.postgres.session import Session
from connectors.postgres.statement import trial
from schemas.errors import ConfigurationError
from schemas.target import Target


@dataclass(frozen=True, slots=True)
class Needed:
    """Schemas that the role must be able to use, and functions that it may not call yet but can be let."""

    schemas: tuple[str, ...]
    functions: tuple[str, ...]


def needed(session: Session, role: str, targets: Sequence[Target]) -> Needed:
    """Look at the texts of these columns.

    Args:
        session: pinned; of the role that grants.
        role: of the workers.
        targets: the columns.

    Raises:
        ConfigurationError: the role may not call a function, and the connected one cannot let it.
    """
    # A schema that the role may not use is passed over, and a name in it may then be found in a later one.
    path = meaning.parts(session.rows("SELECT current_setting('search_path')")[0][0])
    schemas = {name for (name,) in session.rows(queries.text("path_schemas"), {"names": path})}
    functions: set[str] = set()
    for target in targets:
        with trial(session) as cursor:
            cursor.execute(queries.for_target("text_view", target, bound=False))
            cursor.execute("SET LOCAL search_path = ''")  # so that functions are named with their schemas
            cursor.execute(queries.for_target("text_objects", target), {"role": role})
            used, lacking, not_grantable = cursor.fetchall()[0]
        if out_of_reach := sorted(set(lacking) & set(not_grantable)):
            raise ConfigurationError(
                f"role {role} may not call {out_of_reach[0]}, which the text of table {target.table} calls",
                fix=f'as its owner: GRANT EXECUTE ON FUNCTION {out_of_reach[0]} TO "{role}"',
            )
        schemas |= set(used)
        functions |= set(lacking)
    return Needed(tuple(sorted(schemas)), tuple(sorted(functions)))
