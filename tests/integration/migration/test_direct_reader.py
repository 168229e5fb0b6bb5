"""Programs that query a vector column in the words of docs/migration.md, while it moves
to another model.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from connectors.models import open_model
from connectors.ports import Embedder
from schemas.settings.sections import ModelSettings
from tests.support.root import ROOT
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

PAGE = ROOT / "docs" / "migration.md"
TEXT = "question 7 of 8f14e45fceea167a5a36dedd4bea2543"
FILL = (
    "INSERT INTO questions (question) SELECT 'question ' || i || ' of ' || md5(i::text) FROM "
    "generate_series(1,100) i"
)
TO = ("--model", "lexical", "--dimensions", "96")


def blocks() -> tuple[list[str], list[str]]:
    """The statements of the recipe's two blocks: the grants, and one search."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.split("## For programs that query the column themselves", 1)[1].split(
        "\n## ", 1
    )[0]
    found = [
        re.sub(r"--.*", "", block) for block in re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    ]
    grants, recipe = (
        [part.strip() for part in block.split(";") if part.strip()] for block in found
    )
    return grants, [re.sub(r":(model|query)\b", r"%(\1)s", statement) for statement in recipe]


class Program:
    """An application with rights of its own that follows the recipe; it opens the model
    that the recipe tells it.
    """

    def __init__(self, place: Workplace, role: str) -> None:
        self._connection = psycopg2.connect(place.settings.postgres.dsn)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute(f"SET ROLE {role}")
        self.begin, self.hold, self.which, self.search, self.commit = blocks()[1]
        self._models: dict[str, Embedder] = {}
        self.model = ""

    def run(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """One statement of the recipe."""
        self._cursor.execute(statement, values)
        return self._cursor.fetchall() if self._cursor.description else []

    def find(self) -> list[tuple[Any, ...]]:
        """One search; begun again when the column has come to hold vectors of another
        model.
        """
        for _ in range(5):
            self.run(self.begin)
            self.run(self.hold)
            ((model, name, _revision, dimensions),) = self.run(self.which)
            if model == self.model:
                found = self.run(self.search, model=model, query=self.query(model))
                self.run(self.commit)
                return found
            self.run(self.commit)
            self._models[model] = open_model(ModelSettings(name=name, dimensions=dimensions))
            self.model = model
        raise AssertionError("the model changed again and again")

    def query(self, model: str) -> str:
        """The query's vector by this model."""
        return str(self._models[model].encode_query(TEXT).tolist())

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@pytest.fixture
def role(workplace: Workplace) -> Iterator[str]:
    """A role that may read `questions`, and besides that what the recipe grants."""
    name = f"app_{workplace.value('SELECT current_database()')}"
    workplace.execute(FILL)
    workplace.execute("CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops)")
    workplace.vectrue("init")
    workplace.start("worker")
    workplace.vectrue("replay", "run")
    workplace.execute(f"CREATE ROLE {name}")
    workplace.execute(f"GRANT SELECT ON questions TO {name}")
    for grant in blocks()[0]:
        workplace.execute(re.sub(r"\bapp\b", name, grant))
    yield name
    workplace.execute(f"DROP OWNED BY {name}")
    workplace.execute(f"DROP ROLE {name}")


@contextmanager
def searching(place: Workplace, role: str) -> Iterator[tuple[list[str], list[str]]]:
    """A program that searches without a pause; yields what went wrong, and the model of
    each search.
    """
    wrong: list[str] = []
    models: list[str] = []
    over = threading.Event()

    def search() -> None:
        program = Program(place, role)
        while not over.is_set():
            try:
                found = program.find()
            except psycopg2.Error as error:
                wrong.append(str(error))
                break
            if len(found) != 10 or found[0] != (7, TEXT):
                wrong.append(f"found {found} with {program.model}")
            models.append(program.model)
        program.close()

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield wrong, models
    finally:
        over.set()
        thread.join()


def again(models: list[str]) -> None:
    """Wait for a search that begins from here on."""
    seen = len(models)
    until(lambda: len(models) > seen + 1, what="another search")


def test_a_program_that_follows_the_recipe_is_never_broken(workplace: Workplace, role: str) -> None:
    """From start to finish, and back: it finds the right row each time, by the model of the
    column.
    """
    old = workplace.value("SELECT model FROM vectrue.targets")
    with searching(workplace, role) as (wrong, models):
        until(lambda: models, what="the first search")
        workplace.vectrue("migrate", "start", *TO)
        workplace.vectrue("replay", "run")
        workplace.vectrue("migrate", "index")
        assert set(models) == {old}
        for step, new in (("swap", True), ("rollback", False), ("swap", True)):
            workplace.vectrue("migrate", step)
            again(models)
            assert (models[-1] != old) is new
        workplace.with_settings(model={"dimensions": 96})
        workplace.vectrue("migrate", "finish", "--yes")
        again(models)
    assert wrong == []


def test_a_swap_waits_for_a_search_that_has_begun(workplace: Workplace, role: str) -> None:
    """Once a program has been told its model, the column holds that model's vectors
    until the program commits.
    """
    program = Program(workplace, role)
    program.find()
    workplace.vectrue("migrate", "start", *TO)
    workplace.vectrue("replay", "run")
    workplace.vectrue("migrate", "index")
    program.run(program.begin)
    program.run(program.hold)
    told = program.run(program.which)[0][0]
    swap = workplace.start("migrate", "swap", log="swap")
    # Of this database alone: other tests may share the server.
    waits = (
        "SELECT count(*) FROM pg_locks JOIN pg_database AS here ON here.oid = database"
        " WHERE datname = current_database() AND NOT granted AND mode = 'AccessExclusiveLock'"
    )
    until(
        lambda: workplace.value(waits) or swap.poll() is not None, what="the swap to want its lock"
    )
    assert program.run(program.search, model=told, query=program.query(told))[0] == (7, TEXT)
    program.run(program.commit)
    assert swap.wait(120) == 0, workplace.log("swap")
    assert program.find()[0] == (7, TEXT)
    assert program.model != told
    program.close()
