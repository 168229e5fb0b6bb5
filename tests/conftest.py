"""Fixtures of all tests. The local stack starts once per session, and only when a test
asks for it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support import command
from tests.support import workplace as workplaces
from tests.support.command import Vectrue
from tests.support.init import worker_role
from tests.support.root import ROOT
from tests.support.workplace import Endpoints, Workplace

TEST_STACK = ROOT / ".vectrue" / "test"
LONGEST_FIRST = (
    "test_guide",
    "test_soak",
    "test_demo",
    "test_migrate",
    "test_secure",
    "test_replay",
    "test_models",
    "test_interleavings",
    "test_failures_by_kind",
)
"""Files of minutes: begun last, one of them would keep one process busy while the
others have nothing left.
"""
MakeWorkplace = Callable[..., Workplace]

# no test fails because time passed
hypothesis.settings.register_profile("vectrue", deadline=None)
hypothesis.settings.load_profile("vectrue")


@pytest.hookimpl(trylast=True)  # after the shuffle
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(autouse=True)
def process_of_its_own() -> Iterator[None]:
    """No test sees which command another one ran in this process."""
    with command.process_of_its_own():
        yield


@pytest.fixture
def vectrue(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vectrue:
    """The command line as a shell runs it, in this process."""
    return partial(command.vectrue, monkeypatch, capsys)


@pytest.fixture(scope="session")
def stack() -> Iterator[Endpoints]:
    """Where the shared Postgres, Kafka and Connect answer."""
    if os.environ.get("VECTRUE_TEST_STACK") == "containers":
        from tests.support.containers import containers

        with containers() as started:
            yield started
        return
    from connectors.local.stack import LocalStack

    kept = os.environ.get("VECTRUE_TEST_STACK_DIR")
    local = LocalStack(Path(kept) if kept else TEST_STACK)
    endpoints = local.up()
    try:
        yield endpoints
        if kept:
            workplaces.drop_left_origins(endpoints.postgres_dsn)
    finally:
        if not kept and "PYTEST_XDIST_WORKER" not in os.environ:
            local.reset()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take away the stack that several processes shared, when the last of them is done."""
    shared = session.config.getoption("numprocesses", None) and not hasattr(
        session.config, "workerinput"
    )
    if shared and not os.environ.get("VECTRUE_TEST_STACK_DIR") and TEST_STACK.exists():
        from connectors.local.stack import LocalStack

        LocalStack(TEST_STACK).reset()


@pytest.fixture
def role(stack: Endpoints) -> Iterator[str]:
    """A role that owns nothing, for workers; named before `make_workplace`, it is
    dropped after the test's database.
    """
    with worker_role(stack.postgres_dsn) as name:
        yield name


@pytest.fixture
def make_workplace(stack: Endpoints, tmp_path: Path) -> Iterator[MakeWorkplace]:
    """Make workplaces with settings of one's own: `make_workplace(tables=[...],
    model={...})`.
    """
    with ExitStack() as open_places:

        def make(**flags: Any) -> Workplace:
            made: AbstractContextManager[Workplace] = workplaces.workplace(stack, tmp_path, **flags)
            return open_places.enter_context(made)

        yield make


@pytest.fixture
def workplace(make_workplace: MakeWorkplace) -> Workplace:
    """A workplace with an empty `public.questions` (64 dimensions, lexical model);
    `init` was not run.
    """
    place = make_workplace()
    place.execute(workplaces.CREATE_QUESTIONS.format(dimensions=64))
    return place


@pytest.fixture
def ready(workplace: Workplace) -> Workplace:
    """The same after `vectrue init`; no worker runs."""
    workplace.vectrue("init")
    return workplace
