"""The searched columns and their models, read again after a migration's swap.

Hazard: after a swap, the first query loads the new model, which takes seconds. The old
model stays in memory until the server ends, for running queries and for a rollback.
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
    """Reads what is served and opens the models, which stay open."""

    def __init__(self, settings: Settings, database: SessionPool) -> None:
        """Open the settings' model without loading it; read nothing yet.

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
        """Return what is served; read it again if it is still `stale`.

        Args:
            stale: what the caller found to be out of date.

        Raises:
            ConfigurationError: the database does not fit the settings.
            ModelUnavailable: the weights of a column's model are not on this machine.
            TransientError: Postgres does not answer.
        """
        # Many requests find the same columns out of date at once: one of them reads.
        async with self._refreshing:
            if self._served is stale:
                # Also if reading fails: what is out of date must not be used again.
                self._served = None
            if self._served is None:
                self._served = await self._database.run(self._look)
            return self._served

    async def named(self, name: str) -> Embedder:
        """Return the model with this name or id.

        The settings' own is returned also without Postgres.

        Raises:
            Problem: it is not served.
        """
        if name == self.own.model_id:
            return self.own
        names = await self.names()
        if name in names:
            return names[name]
        for model in names.values():
            # An id is the name, `@`, and what tells its versions apart.
            if name in (model.model_id, model.model_id.rpartition("@")[0]):
                return model
        known = ", ".join(sorted(names))
        raise Problem(
            404,
            "the model is not served here",
            f"ask for one of: {known}",
            code="model_not_found",
            param="model",
        )

    async def names(self) -> dict[str, Embedder]:
        """Return the served models by their name in a request; the settings' own first.

        If two models have the same name, one is listed by its id: the settings' own, if no
        column wants it any more, otherwise the other one. While Postgres does not answer,
        only the settings' own is returned.
        """
        own = self._settings.model.name
        try:
            models = (await self.served()).models
        except TransientError:
            models = {}
        named: dict[str, str] = {}
        for model_id in models:
            if model_id != self.own.model_id:
                named[model_id] = model_id.rpartition("@")[0]
        is_gone = self.own.model_id not in models and own in named.values()
        found = {self.own.model_id if is_gone else own: self.own}
        for model_id, name in named.items():
            found[model_id if name in found else name] = models[model_id]
        return found

    def wanted(self, session: Session) -> tuple[Target, ...]:
        """Read the columns with a session of the caller's.

        Raises:
            ConfigurationError, TransientError: as `served`.
        """
        return tuple(targets.served(self._settings, session))

    def _look(self, session: Session) -> Served:
        wanted = self.wanted(session)
        found = embedders.for_targets(self._settings, session, wanted, self.own)
        # Instances are kept, or each reading would load the weights again.
        models: dict[str, Embedder] = {}
        for model in found.ids:
            models[model] = self._opened.setdefault(model, found.of(model))
        return Served(wanted, models)
