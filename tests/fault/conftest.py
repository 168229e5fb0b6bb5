"""A stack whose parts tests may kill and stop, made once for each process of the tests.
The shared one belongs to all tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.local.stack import Endpoints, LocalStack
from tests.support import workplace as workplaces
from tests.support.root import ROOT
from tests.support.workplace import Workplace


@pytest.fixture(scope="session")
def fragile(worker_id: str) -> Iterator[LocalStack]:
    """The stack; a test that takes a part away brings it back."""
    local = LocalStack(ROOT / ".vectrue" / "fault" / worker_id)
    local.reset()  # what a killed session left
    local.up()
    try:
        yield local
    finally:
        local.reset()


@contextmanager
def ready_on(endpoints: Endpoints, directory: Path, **flags: Any) -> Iterator[Workplace]:
    """A workplace with an empty `public.questions` after `vectrue init`; no worker
    runs.
    """
    with workplaces.workplace(endpoints, directory, **flags) as place:
        place.execute(workplaces.CREATE_QUESTIONS.format(dimensions=64))
        place.vectrue("init")
        yield place
