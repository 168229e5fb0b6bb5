"""The names, models and times that all pages show."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

OLD = "jhgan/ko-sroberta-multitask@ab957ae+0c1de2f3"
MODEL = "BAAI/bge-m3@5617a9f61b02+1f3c9a77"
LONG = "면접.면접_질문과_모범_답안_모음_한국어_자료"
"""A name of 63 bytes, as long as Postgres has them, in a schema of its own; its column
has one of 31 cells.
"""
COLUMN = "embedding_of_question_and_answer"
RUN = UUID("0198c0de-0000-7000-8000-00000000beef")
NOW = datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC)
NAMES: Sequence[str] = (LONG, COLUMN)
