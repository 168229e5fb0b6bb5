"""What the HTTP server takes for served, when a migration takes a step and the look at it fails."""

import asyncio
from typing import Any

import pytest

from schemas.errors import ModelUnavailable
from schemas.settings import Settings
from streams.api.served import Catalog, Served

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
    """The new model is not on this machine: not ready, look after look, until it is; not ready again by chance."""
    missing = ModelUnavailable("the weights are not here", fix="embedsync model pull")
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
