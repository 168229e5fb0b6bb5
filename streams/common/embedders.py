"""The models of a worker: one, or during a migration two, each for the columns that
want it.

Without a migration the settings decide, and must agree with what the database wants.
With one the database decides, so that a worker needs no new settings at the moment of
the swap, nor while some tables are still to follow the others.

Hazard: not thread-safe, like the models themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Self

from connectors.models import open_model
from connectors.ports import Embedder
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from schemas.errors import TargetMismatch
from schemas.reports.migration import openings
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import targets as target_rules


class Embedders:
    """Models by their id."""

    def __init__(self, models: Mapping[str, Embedder]) -> None:
        """Keep the models; none is loaded yet."""
        self._models = models

    @classmethod
    def single(cls, embedder: Embedder) -> Self:
        """One model for everything."""
        return cls({embedder.model_id: embedder})

    @property
    def ids(self) -> list[str]:
        """The model ids."""
        return sorted(self._models)

    def of(self, model: str) -> Embedder:
        """The model with this id.

        Raises:
            TargetMismatch: it is not among these.
        """
        if model not in self._models:
            raise TargetMismatch(
                f"model {model} is wanted, but not opened here", fix="restart the worker"
            )
        return self._models[model]

    def load(self) -> None:
        """Bring the weights of all of them into memory."""
        for model in self._models.values():
            model.load()

    def unload(self) -> None:
        """Give the memory back."""
        for model in self._models.values():
            model.unload()


def for_targets(
    settings: Settings, session: Session, targets: Sequence[Target], opened: Embedder | None = None
) -> Embedders:
    """Open the models that these columns want.

    Args:
        settings: name the model where no migration does.
        session: connection to the tables.
        targets: the columns.
        opened: a model that is open already, and used where it is the wanted one.

    Raises:
        TargetMismatch: the settings' model is not the wanted one, and no migration says
            where that is to be found.
        ModelUnavailable: the files of a model are not here.
    """
    saved = openings(migration.read(session, finished=True))
    models: dict[str, Embedder] = {opened.model_id: opened} if opened else {}
    for target in targets:
        if target.model in models:
            continue
        embedder = open_model(settings.model.opened_as(saved.get(target.model, {})))
        target_rules.check_model([target], embedder)
        models[target.model] = embedder
    return Embedders({target.model: models[target.model] for target in targets})
