"""What is served: the columns that the database names, with their models; asked again
once a migration has swapped.

Hazard: a model that a migration has just swapped in is loaded by the first query after
the swap, which takes seconds; the one before it stays in memory, for queries that are
under way and for a rollback, until the server ends.
"""

import asyncio
from collections.abc import Sequence

from connectors.models import open_model
from connectors.ports import Embedder
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TransientError
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.api.database import SessionPool
from streams.api.problems import Problem
from streams.common import embedders, targets
from streams.search.core import Served


def columns(served: Served, tables: Sequence[str]) -> list[Target]:
    """Return the columns of the named tables; all if none is named.

    Raises:
        Problem: a table is not served.
    """
    tables_served = {target.table for target in served.targets}
    known = ", ".join(sorted(str(table) for table in tables_served))
    try:
        wanted = {TableName.parse(name) for name in tables}
    except ConfigurationError as error:
        raise Problem(404, error.message, f"ask for one of: {known}") from error
    unknown = wanted - tables_served
    if unknown:
        raise Problem(404, f"table {min(unknown)} is not served", f"ask for one of: {known}")
    return [target for target in served.targets if not wanted or target.table in wanted]


class Catalog:
    """Asks what is served and opens the models; an instance of a model is kept for
    good.
    """

    def __init__(self, settings: Settings, database: SessionPool) -> None:
        """Open the settings' model, without loading it, and ask nothing yet.

        Raises:
            ModelUnavailable: its weights are not on this machine.
        """
        self._settings = settings
        self._database = database
        self.own: Embedder = open_model(settings.model)
        self._opened: dict[str, Embedder] = {self.own.model_id: self.own}
        self._served: Served | None = None
        self._refreshing = asyncio.Lock()

    async def served(self, stale: Served | None = None) -> Served:
        """What is served, asked once; anew when it is still what the caller found to be
        out of date.

        Raises:
            ConfigurationError: the database does not fit the settings.
            ModelUnavailable: the weights of a model that a column wants are not on this
                machine.
            TransientError: Postgres is away.
        """
        async with self._refreshing:
            if self._served is stale:
                # also when the look fails: what is out of date must not pass for an
                # answer
                self._served = None
            if self._served is None:
                self._served = await self._database.run(self._look)
            return self._served

    async def named(self, name: str) -> Embedder:
        """The model with this name or id; the settings' own is there without the
        database, too.

        Raises:
            Problem: it is not served.
        """
        if name == self.own.model_id:
            return self.own
        names = await self.names()
        if name in names:
            return names[name]
        for model in names.values():
            if name in (model.model_id, model.model_id.rpartition("@")[0]):
                return model
        known = ", ".join(sorted(names))
        raise Problem(
            404,
            "the model is not served here",
            f"ask for one of: {known}",
            "model_not_found",
            "model",
        )

    async def names(self) -> dict[str, Embedder]:
        """The models that are served, by the name that a request may call them; the
        settings' own one comes first.

        A model whose name another one has already goes by its id: the settings' own has
        the second claim to its name where no column wants it any more. While Postgres
        is away, the settings' own alone.
        """
        own = self._settings.model.name
        try:
            models = (await self.served()).models
        except TransientError:
            models = {}
        named = {
            identity: identity.rpartition("@")[0]
            for identity in models
            if identity != self.own.model_id
        }
        is_gone = self.own.model_id not in models and own in named.values()
        found = {self.own.model_id if is_gone else own: self.own}
        for identity, name in named.items():
            found[identity if name in found else name] = models[identity]
        return found

    def wanted(self, session: Session) -> tuple[Target, ...]:
        """The columns as they are now; for a session of the caller's.

        Raises:
            ConfigurationError, TransientError: as `served`.
        """
        return tuple(targets.served(self._settings, session))

    def _look(self, session: Session) -> Served:
        wanted = self.wanted(session)
        found = embedders.for_targets(self._settings, session, wanted, self.own)
        # Instances are kept, or each look would load the weights again.
        models: dict[str, Embedder] = {}
        for model in found.ids:
            models[model] = self._opened.setdefault(model, found.of(model))
        return Served(wanted, models)
