"""Search: a text in, the nearest rows out, both sides embedded by the same model.

Hazard: the query must be embedded by the model that the database wants; with another one similarities mean nothing.
"""

from collections.abc import Sequence

from connectors.ports import Embedder
from connectors.postgres import search
from connectors.postgres.search import Hit
from connectors.postgres.session import Session
from schemas.errors import EmbedsyncError
from schemas.settings import Settings
from schemas.table import TableName
from streams import targets as target_rules


def find(
    settings: Settings, session: Session, embedder: Embedder, text: str, *, tables: Sequence[str], limit: int
) -> list[Hit]:
    """Search the configured tables.

    Args:
        settings: which tables.
        session: connection to them.
        embedder: the model.
        text: what is looked for.
        tables: names of configured tables; all when empty.
        limit: most rows returned over all tables.

    Raises:
        TargetMismatch: the database wants another model.
        EmbedsyncError: the text is blank, or a table is not configured.
    """
    if not text.strip():
        raise EmbedsyncError("there is nothing to search for", fix="give a text")
    wanted = {TableName.parse(name) for name in tables}
    targets = [t for t in target_rules.resolve(settings, session) if not wanted or t.table in wanted]
    unknown = wanted - {target.table for target in targets}
    if unknown:
        raise EmbedsyncError(f"table {min(unknown)} is not among [[tables]]", fix="correct --table")
    target_rules.check_model(targets, embedder)
    query = embedder.encode_query(text)
    hits = [hit for target in targets for hit in search.nearest(session, target, query, limit)]
    return sorted(hits, key=lambda hit: hit.similarity, reverse=True)[:limit]
