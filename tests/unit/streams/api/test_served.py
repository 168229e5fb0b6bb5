"""What the HTTP server takes for served, when a migration takes a step and the look at
it fails.
"""

import asyncio
from typing import Any

import pytest

from connectors.models import open_model
from connectors.ports import Embedder
from schemas.errors import ModelUnavailable
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.api.served import Catalog
from streams.search.core import Served

OLD, NEW = Served((), {}), Served((), {})


class Database:
    """Answers looks from a list."""

    def __init__(self, *answers: Served | Exception) -> None:
        self.answers = list(answers)

    async def run(self, _: Any) -> Served:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_what_is_out_of_date_does_not_pass_for_an_answer() -> None:
    """The new model is not on this machine: not ready, look after look, until it is;
    not ready again by chance.
    """
    missing = ModelUnavailable("the weights are not here", fix="vectrue model pull")
    database: Any = Database(OLD, missing, missing, NEW)

    async def play() -> None:
        catalog = Catalog(Settings(model={"name": "lexical"}), database)
        assert await catalog.served() is OLD
        assert await catalog.served() is OLD
        with pytest.raises(ModelUnavailable):
            await catalog.served(OLD)
        with pytest.raises(ModelUnavailable):
            await catalog.served()
        assert await catalog.served() is NEW
        assert await catalog.served(OLD) is NEW

    asyncio.run(play())


def test_a_name_is_that_of_the_model_that_is_served() -> None:
    """After the swap to another length of the same model its name means the new one,
    whatever the settings said.
    """
    old, new = (open_model(ModelSettings(name="lexical", dimensions=length)) for length in (64, 96))

    def named(*models: Embedder) -> dict[str, int]:
        async def play() -> dict[str, int]:
            database: Any = Database(Served((), {model.model_id: model for model in models}))
            catalog = Catalog(Settings(model={"name": "lexical", "dimensions": 64}), database)
            assert await catalog.named(old.model_id) is catalog.own
            return {name: model.dimensions for name, model in (await catalog.names()).items()}

        return asyncio.run(play())

    assert named(old, new) == {"lexical": 64, new.model_id: 96}
    assert named(new) == {old.model_id: 64, "lexical": 96}
