"""Read the interview content and put it into the two tables.

The files beside this module are JSON Lines.  ``load`` gives every row the id that its file says, so
the relevance judgements of ``queries.jsonl`` hold for a database filled with it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

_HERE = Path(__file__).resolve().parent

_INSERT_QUESTIONS = (
    "INSERT INTO public.questions (id, question, category, difficulty) "
    "VALUES %s ON CONFLICT (id) DO NOTHING RETURNING id"
)
_INSERT_ANSWERS = (
    "INSERT INTO public.answer_bank (id, question_id, answer, score) "
    "VALUES %s ON CONFLICT (id) DO NOTHING RETURNING id"
)
# nextval() - 1 is where the sequence stands, so that it never moves backwards: an id
# that was given out and deleted since is not given out again.
_ADVANCE_SEQUENCE = (
    "SELECT setval(sequence, GREATEST((SELECT max(id) FROM {table}), nextval(sequence) - 1, 1)) "
    "FROM (SELECT pg_get_serial_sequence('{table}', 'id')::regclass AS sequence) AS of_table"
)


def _read(name: str) -> list[dict[str, object]]:
    """Return the objects of one JSON Lines file of this folder, in its order."""
    found: list[dict[str, object]] = []
    with (_HERE / name).open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                found.append(json.loads(line))
    return found


def read_questions() -> list[dict[str, object]]:
    """Return the questions: ``id``, ``question``, ``category``, ``difficulty``."""
    return _read("questions.jsonl")


def read_answers() -> list[dict[str, object]]:
    """Return the answers: ``id``, ``question_id``, ``answer``, ``score``."""
    return _read("answers.jsonl")


def read_queries() -> list[dict[str, object]]:
    """Return the judged searches.

    Each has ``query``, ``relevant`` (question ids), ``kind`` and ``note``. The first 27
    also have ``selected``: they were kept because a model finds them, so they measure
    no model.
    """
    return _read("queries.jsonl")


def _insert(
    cursor: Cursor, statement: str, rows: list[dict[str, object]], keys: Sequence[str]
) -> int:
    """Insert ``rows`` with one statement and return how many of them were new."""
    values: list[list[object]] = []
    for row in rows:
        values.append([row[key] for key in keys])
    return len(execute_values(cursor, statement, values, page_size=1000, fetch=True))


def load(connection: Connection) -> tuple[int, int]:
    """Insert every question and answer that is not there yet, in one transaction.

    Returns:
        how many questions and how many answers were new.
    """
    with connection, connection.cursor() as cursor:
        questions = _insert(
            cursor,
            _INSERT_QUESTIONS,
            read_questions(),
            ("id", "question", "category", "difficulty"),
        )
        answers = _insert(
            cursor, _INSERT_ANSWERS, read_answers(), ("id", "question_id", "answer", "score")
        )
        # The rows brought their ids along; an ordinary insert must not get one again.
        for table in ("public.questions", "public.answer_bank"):
            cursor.execute(_ADVANCE_SEQUENCE.format(table=table))
    return questions, answers
