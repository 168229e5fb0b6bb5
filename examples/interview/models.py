"""The interview application's tables as SQLModel models, the way its code declares
them.

They mirror ``schema.sql``. The columns that ``vectrue init`` adds are left out on
purpose: the application neither reads nor writes them.
"""

from datetime import datetime

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    SmallInteger,
    Text,
    func,
)
from sqlmodel import Field, SQLModel

DIMENSIONS = 1024


def _id_column() -> Column[int]:
    """Return a ``bigint`` identity primary key; every table needs a column object of
    its own.
    """
    return Column(BigInteger, Identity(always=False), primary_key=True)


def _created_at_column() -> Column[datetime]:
    """Return a ``timestamptz`` column that the database fills in."""
    return Column(DateTime(timezone=True), nullable=False, server_default=func.now())


class Question(SQLModel, table=True):
    """One interview question with the embedding of its text."""

    __tablename__ = "questions"
    __table_args__ = (
        CheckConstraint("difficulty BETWEEN 1 AND 5", name="questions_difficulty_check"),
    )

    id: int | None = Field(default=None, sa_column=_id_column())
    question: str = Field(sa_column=Column(Text, nullable=False))
    category: str = Field(sa_column=Column(Text, nullable=False))
    difficulty: int = Field(ge=1, le=5, sa_column=Column(SmallInteger, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=_created_at_column())
    view_count: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    embedding: list[float] | None = Field(default=None, sa_column=Column(Vector(DIMENSIONS)))


class AnswerBank(SQLModel, table=True):
    """One collected answer to a question, its score, and the embedding of its text."""

    __tablename__ = "answer_bank"
    __table_args__ = (CheckConstraint("score BETWEEN 0 AND 100", name="answer_bank_score_check"),)

    id: int | None = Field(default=None, sa_column=_id_column())
    question_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("questions.id"), nullable=False)
    )
    answer: str = Field(sa_column=Column(Text, nullable=False))
    score: int = Field(ge=0, le=100, sa_column=Column(SmallInteger, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=_created_at_column())
    embedding: list[float] | None = Field(default=None, sa_column=Column(Vector(DIMENSIONS)))
