"""The backend's ``vector_utils.py`` after the move from ko-sroberta (768) to BGE-M3
(1024).

Nothing here writes a vector any more. ``vectrue`` embeds every question and answer when
its text changes, so the backend only embeds what a user types, and compares.

Hazard: rows of another model are left out of every comparison (``embedding_model``),
since the similarity of vectors of two models has no meaning. While a new model is
rolled out, a search finds only the rows that it has embedded already.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Float, column
from sqlmodel import Session, col, select

from connectors.models import EmbeddingModel, get_embedding_model
from examples.interview.models import AnswerBank, Question

__all__ = [
    "EmbeddingModel",
    "Evaluation",
    "create_embeddings",
    "evaluate_answer",
    "get_embedding_model",
    "grade",
    "search_questions",
]

EXCELLENT, GOOD = 0.85, 0.70
"""Similarities above which an answer is excellent, or good, as the backend has had them
for one model. Two models do not share a scale.
"""


@dataclass(frozen=True)
class Evaluation:
    """How near an answer is to the best one known: cosine, the same out of 100, and a
    word about it.
    """

    similarity: float
    score: float
    message: str
    reference: str


def create_embeddings(
    texts: Sequence[str], *, show_progress_bar: bool = False
) -> NDArray[np.float32]:
    """Embed texts that are compared with each other; float32[n, dimensions], unit
    length.
    """
    return get_embedding_model().encode(texts, show_progress_bar=show_progress_bar)


def search_questions(
    session: Session, query: str, limit: int = 5, min_similarity: float = -1.0
) -> list[tuple[Question, float]]:
    """Return the questions whose meaning is nearest to ``query``, each with its cosine,
    nearest first.
    """
    model = get_embedding_model()
    distance = _distance(Question.embedding, model.encode_query(query))
    statement = select(Question, distance).where(_embedded_by(model))
    nearest = statement.order_by(distance).limit(limit)
    found = []
    for question, away in session.exec(nearest):
        similarity = 1.0 - float(away)
        if similarity >= min_similarity:
            found.append((question, similarity))
    return found


def evaluate_answer(session: Session, question_id: int, answer: str) -> Evaluation | None:
    """Compare an answer with the best-scored stored answer of its question; None when
    there is none.
    """
    model = get_embedding_model()
    distance = _distance(AnswerBank.embedding, model.encode([answer])[0])
    statement = (
        select(AnswerBank.answer, distance)
        .where(AnswerBank.question_id == question_id, _embedded_by(model))
        .order_by(col(AnswerBank.score).desc())
        .limit(1)
    )
    best = session.exec(statement).first()
    if best is None:
        return None
    similarity = 1.0 - float(best[1])
    return Evaluation(similarity, similarity * 100, grade(similarity), best[0])


def grade(similarity: float) -> str:
    """Put a similarity into words."""
    if similarity > EXCELLENT:
        return "우수한 답변입니다"
    return "좋은 답변입니다" if similarity > GOOD else "답변을 보완해주세요"


def _distance(stored: list[float] | None, vector: NDArray[np.float32]) -> ColumnElement[float]:
    """Return pgvector's cosine distance, 1 - cosine, which the HNSW index orders by."""
    return col(stored).op("<=>", return_type=Float())(vector)


def _embedded_by(model: EmbeddingModel) -> ColumnElement[bool]:
    """Return the condition for rows whose vectors this model made."""
    # The column is one of those that `vectrue init` adds.
    return column("embedding_model") == model.model_id
