"""The models of a worker: one, or two during a migration, each for its columns.

Without a migration the settings name the model, and must agree with what the database
wants. During one the database names it, so that a worker needs no new settings at the
swap, nor while some tables have not followed yet.

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
        """Return the model with this id.

        Raises:
            TargetMismatch: it is not among these.
        """
        if model not in self._models:
            raise TargetMismatch(
                f"model {model} is wanted, but not opened here", fix="restart the worker"
            )
        return self._models[model]

    def load(self) -> None:
        """Load the weights of all models."""
        for model in self._models.values():
            model.load()

    def unload(self) -> None:
        """Free the memory of all models."""
        for model in self._models.values():
            model.unload()


def for_targets(
    settings: Settings, session: Session, targets: Sequence[Target], opened: Embedder | None = None
) -> Embedders:
    """Open the models that these columns want.

    Args:
        settings: name the model, unless a migration does.
        session: connection to the tables.
        targets: the columns.
        opened: a model that is already open, used where it is the wanted one.

    Raises:
        TargetMismatch: the settings' model is not the wanted one, and no migration has
            its settings.
        ModelUnavailable: the files of a model are not here.
    """
    saved = openings(migration.read(session, finished=True))
    models: dict[str, Embedder] = {opened.model_id: opened} if opened else {}
    for target in targets:
        if target.model in models:
            continue
        # During a migration the database says how its model is opened.
        embedder = open_model(settings.model.opened_as(saved.get(target.model, {})))
        target_rules.check_model([target], embedder)
        models[target.model] = embedder
    # Without `opened` where no column wants it.
    return Embedders({target.model: models[target.model] for target in targets})
