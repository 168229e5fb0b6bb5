"""Search: a text in, the nearest rows out, both sides embedded by the same model.

The database says which model that is, so that a migration changes both sides at one instant: the target row is read in
the same transaction as the rows, and a query that comes out between two models is embedded again.

Hazard: with another model for the query than for the rows, similarities mean nothing.
"""

from collections.abc import Sequence

from connectors.ports import Embedder
from connectors.postgres import search
from connectors.postgres.search import Hit, ModelMoved
from connectors.postgres.session import Session
from schemas.errors import EmbedsyncError
from schemas.settings import Settings
from schemas.table import TableName
from schemas.target import Target
from streams import embedders
from streams import targets as target_rules
from streams.embedders import Embedders

_ATTEMPTS = 5
"""A migration swaps once or twice in its life."""


class Search:
    """Searches the configured tables; keeps its models between calls. One thread."""

    def __init__(self, settings: Settings, session: Session, opened: Embedder | None = None) -> None:
        """Remember where to look; models are opened when they are first needed, but for one that is open already."""
        self._opened = opened
        self._settings = settings
        self._session = session
        self._targets: list[Target] = []
        self._models = Embedders({})

    @property
    def models(self) -> list[str]:
        """Ids of the models that the last search used."""
        return self._models.ids

    def find(self, text: str, *, tables: Sequence[str] = (), limit: int) -> list[Hit]:
        """The nearest rows.

        Args:
            text: what is looked for.
            tables: names of configured tables; all when empty.
            limit: most rows returned over all tables.

        Raises:
            TargetMismatch: the database wants another model than the settings name.
            EmbedsyncError: the text is blank, or a table is not configured.
        """
        if not text.strip():
            raise EmbedsyncError("there is nothing to search for", fix="give a text")
        for _ in range(_ATTEMPTS):
            try:
                return self._find(text, tables, limit)
            except ModelMoved:
                self._targets = []
        raise EmbedsyncError("the columns changed their model again and again", fix="try again")

    def _find(self, text: str, tables: Sequence[str], limit: int) -> list[Hit]:
        if not self._targets:
            self._targets = target_rules.served(self._settings, self._session)
            self._models = embedders.for_targets(self._settings, self._session, self._targets, self._opened)
        wanted = {TableName.parse(name) for name in tables}
        targets = [target for target in self._targets if not wanted or target.table in wanted]
        if unknown := wanted - {target.table for target in targets}:
            raise EmbedsyncError(f"table {min(unknown)} is not among [[tables]]", fix="correct --table")
        queries = {model: self._models.of(model).encode_query(text) for model in {t.model for t in targets}}
        hits = [hit for t in targets for hit in search.nearest(self._session, t, queries[t.model], limit)]
        return sorted(hits, key=lambda hit: hit.similarity, reverse=True)[:limit]
