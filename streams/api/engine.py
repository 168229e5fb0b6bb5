"""What the paths ask for, done: models in their thread, Postgres in a few, the event loop never waiting for either.

The database says which model each column wants, as for every search; the models that it wants stay loaded, and one that
it no longer wants gives its memory back.

Hazard: a model that a migration has just swapped in is loaded by the first query after the swap, which takes seconds.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from connectors.models import open_model
from connectors.ports import Clock, Embedder
from connectors.postgres.session import Session
from schemas.errors import EmbedsyncError, TransientError
from schemas.settings import Settings
from schemas.target import Target
from streams import embedders
from streams import targets as target_rules
from streams.api.batcher import Batcher
from streams.api.bodies import EmbeddingsRequest, render_embeddings
from streams.api.database import Database
from streams.api.problems import Problem

log = structlog.get_logger(__name__)

_PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class Served:
    """The columns that are searched and the models of their vectors, by id."""

    targets: tuple[Target, ...]
    models: Mapping[str, Embedder]


class Engine:
    """The parts of the server that work."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Open the settings' model, without loading it, and nothing else yet.

        Raises:
            ModelUnavailable: its weights are not on this machine.
        """
        serve = settings.serve
        self._settings = settings
        self.batcher = Batcher(clock, linger=serve.linger_ms / 1000, most=serve.batch_size)
        self._database = Database(
            settings.postgres.dsn, role="serve", threads=serve.database_connections, seconds=serve.request_seconds
        )
        # Apart from the others, so that a locked table does not make the whole server look dead.
        self._probe = Database(settings.postgres.dsn, role="serve probe", threads=1, seconds=_PROBE_SECONDS)
        self._own = open_model(settings.model)
        self._opened: dict[str, Embedder] = {self._own.model_id: self._own}
        self._served: Served | None = None
        self._refreshing = asyncio.Lock()

    async def start(self) -> None:
        """Ask the database what is served and load those models; Postgres may be away, the settings may not be wrong.

        Raises:
            ConfigurationError: as `streams.search` would meet it.
        """
        try:
            models = (await self.served()).models
        except TransientError as error:
            log.warning("Postgres is away; not ready until it answers", reason=str(error))
            models = {self._own.model_id: self._own}
        for model in models.values():
            await self.batcher.call(model.load)
        log.info("models loaded", models=sorted(models))

    def close(self) -> None:
        """Wait for the threads and close the sessions."""
        self.batcher.close()
        self._database.close()
        self._probe.close()

    async def served(self, stale: Served | None = None) -> Served:
        """What is served, asked once; anew when it is still what the caller found to be out of date."""
        async with self._refreshing:
            if self._served is None or self._served is stale:
                self._served = await self._database.run(self._look)
                for model in [m for i, m in self._opened.items() if i not in self._served.models]:
                    if model is not self._own:
                        del self._opened[model.model_id]
                        await self.batcher.call(model.unload)
            return self._served

    async def ready(self) -> list[str]:
        """Ids of the models that are served, if Postgres answers.

        Raises:
            Problem: it does not, or the database does not fit the settings.
        """
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._probe.run(lambda session: session.rows("SELECT 1"))
                return sorted((await self.served()).models)
        except TimeoutError:
            raise Problem(503, f"Postgres did not answer within {_PROBE_SECONDS:g} s", "check the server") from None
        except EmbedsyncError as error:
            # Probes need no token, so the answer does not say where Postgres is.
            log.warning("not ready", reason=str(error))
            what = "Postgres does not answer" if isinstance(error, TransientError) else "the database does not fit"
            raise Problem(503, what, "see the server's log, or run `embedsync doctor` beside it") from error

    async def embeddings(self, request: EmbeddingsRequest) -> bytes:
        """An EmbeddingsResponse as JSON.

        Raises:
            Problem: the model is not served, or cannot do what is asked.
        """
        texts, most = request.texts, self._settings.serve.max_inputs
        if len(texts) > most:
            raise Problem(400, f"{len(texts)} texts are more than serve.max_inputs ({most})", "send fewer at a time",
                          param="input")  # fmt: skip
        model = await self._named(request.model)
        if request.dimensions not in (None, model.dimensions):
            raise Problem(400, f"{model.model_id} makes vectors of {model.dimensions} dimensions and no others",
                          "leave `dimensions` out", param="dimensions")  # fmt: skip
        vectors = await self.batcher.encode(model, texts, query=request.input_type == "query")
        tokens = sum(await self.batcher.call(model.count_tokens, texts))
        return await asyncio.to_thread(render_embeddings, vectors, model.model_id, tokens, request.encoding_format)

    async def _named(self, name: str) -> Embedder:
        """The model with this name or id; the settings' own is there without the database, too."""
        if name in (self._settings.model.name, self._own.model_id):
            return self._own
        try:
            models = (await self.served()).models
        except TransientError:
            models = {}
        for identity, model in models.items():
            if name in (identity, identity.rpartition("@")[0]):
                return model
        known = ", ".join(sorted({self._settings.model.name, *(i.rpartition("@")[0] for i in models)}))
        raise Problem(404, "the model is not served here", f"ask for one of: {known}", "model_not_found", "model")

    def _look(self, session: Session) -> Served:
        targets = target_rules.served(self._settings, session)
        found = embedders.for_targets(self._settings, session, targets, self._own)
        # Instances are kept, or each look would load the weights again.
        models = {identity: self._opened.setdefault(identity, found.of(identity)) for identity in found.ids}
        return Served(tuple(targets), models)
