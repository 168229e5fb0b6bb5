"""The guide's two tables, `questions` and `answer_bank` with vector(768), filled with
made-up texts of real words.

Texts are drawn from the words of examples/interview with a fixed seed, so that two runs
have the same rows. An HNSW index is made when the vectors are there, as pgvector
advises.
"""

import io
import json
import random
from dataclasses import dataclass
from itertools import count

from schemas.settings.sections import ReplaySettings
from tests.support.root import ROOT
from tests.support.workplace import Workplace

EXAMPLE = ROOT / "examples" / "interview"


@dataclass(frozen=True, slots=True)
class Table:
    """One of them: its name, its text column, and the file and field its words come
    from.
    """

    name: str
    text: str
    source: str
    others: str
    """Further columns, and their values in COPY's text format."""
    values: str
    words: tuple[int, int]
    """Least and most words of a text."""


TABLES = (
    Table("questions", "question", "questions.jsonl", "category, difficulty", "파이썬\t3", (8, 16)),
    Table("answer_bank", "answer", "answers.jsonl", "question_id, score", "1\t80", (20, 40)),
)
NICE = {"nice": ReplaySettings().nice}
"""The replay lane as it is by default, standing back; tests have it stand level."""
SETTINGS = [{"name": f"public.{table.name}", "text": table.text} for table in TABLES]


class Texts:
    """Texts without end, no two alike."""

    def __init__(self, table: Table, seed: int) -> None:
        lines = (EXAMPLE / table.source).read_text(encoding="utf-8").splitlines()
        self._words = sorted(
            {word for line in lines for word in json.loads(line)[table.text].split()}
        )
        self._draw = random.Random(seed)
        self._span = table.words
        self._numbers = count(seed * 1_000_000_000)

    def next(self) -> str:
        """Another text."""
        words = self._draw.choices(self._words, k=self._draw.randint(*self._span))
        return f"{' '.join(words)} {next(self._numbers)}"


def create(place: Workplace, rows: int) -> None:
    """Make both tables with their texts; no vector, no index yet."""
    place.execute((EXAMPLE / "schema_before.sql").read_text(encoding="utf-8"))
    for table in TABLES:
        place.execute(f"DROP INDEX {table.name}_embedding_hnsw")
        texts = Texts(table, seed=1)
        lines = "".join(f"{key}\t{texts.next()}\t{table.values}\n" for key in range(1, rows + 1))
        with place.session.transaction() as cursor:
            cursor.copy_expert(
                f"COPY {table.name} (id, {table.text}, {table.others}) FROM STDIN",
                io.StringIO(lines),
            )


def build_indexes(place: Workplace, memory: str) -> None:
    """The indexes of schema_before.sql, on vectors that are there."""
    place.execute(f"SET maintenance_work_mem = '{memory}'")
    for table in TABLES:
        name, method = f"{table.name}_embedding_hnsw", "hnsw (embedding vector_cosine_ops)"
        place.execute(f"CREATE INDEX {name} ON {table.name} USING {method}")
