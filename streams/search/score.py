"""Scores an answer by its similarity to a reference, or to the nearest stored answer.

Hazard: a wrong stored answer is a reference too, unless `score.where` excludes it.
"""

from collections.abc import Sequence

from connectors.models import open_model
from connectors.ports import Embedder
from connectors.postgres.search.search import Condition, equals
from schemas.errors import VectrueError
from schemas.reports.score import GradeThresholds, Score
from schemas.reports.search import Hit, SearchRequest
from schemas.settings.reading import Settings
from schemas.settings.sections import GradeSettings
from streams.search.search import Search

_GUIDES_MODEL = "BAAI/bge-m3"
"""The model for which the default thresholds were set."""


def against_text(
    settings: Settings, answer: str, reference: str, opened: Embedder | None = None
) -> Score:
    """Score an answer by a reference answer, without the database.

    Args:
        settings: the model, and thresholds by model.
        answer: what is scored.
        reference: a good answer.
        opened: a model to use instead of that of the settings.

    Raises:
        VectrueError: a text is blank.
        ModelUnavailable: the weights are not here.
    """
    for what, text in (("answer", answer), ("reference", reference)):
        _refuse_blank(what, text)
    model = opened or open_model(settings.model)
    # Both as documents: an answer is not a query, and some models embed the two
    # differently.
    first, second = model.encode_documents([answer, reference])
    return graded(settings, float(first @ second), model)


def against_stored(settings: Settings, searching: Search, answer: str, question: str) -> Score:
    """Score an answer by the nearest of the stored answers of a question.

    Args:
        settings: `[score]` says where the answers are and which column has the question.
        searching: of these settings; its models are used.
        answer: what is scored.
        question: value of the column `score.question`, as text.

    Raises:
        VectrueError: the answer is blank; `score.table` is not configured; the question
            has no answer with a vector.
        ConfigurationError: the table has no such column.
    """
    request, only = stored_request(settings, answer, question)
    hits, model = searching.like(request, only)
    return by_hits(settings, hits, model, question)


def stored_request(
    settings: Settings, answer: str, question: str
) -> tuple[SearchRequest, Condition]:
    """Return the search for the nearest stored answer to this question.

    The condition, which says which question, is the second part.

    Raises:
        VectrueError: the answer is blank.
    """
    _refuse_blank("answer", answer)
    wanted = settings.score
    request = SearchRequest(
        text=answer, tables=(wanted.table,), limit=1, where=wanted.where, exact=True
    )
    return request, equals(wanted.question, question)


def by_hits(settings: Settings, hits: Sequence[Hit], model: Embedder, question: str) -> Score:
    """Return the score by the nearest stored answer, which this model embedded.

    Raises:
        VectrueError: there is no hit.
    """
    if not hits:
        among = " that meets score.where" if settings.score.where else ""
        raise VectrueError(
            f"{settings.score.table} has no answer{among} to question {question} that has a vector",
            fix="check the question and [score], or give --reference",
        )
    return graded(settings, hits[0].similarity, model, hits[0])


def graded(
    settings: Settings, similarity: float, model: Embedder, reference: Hit | None = None
) -> Score:
    """Return the score of a similarity, by the thresholds in force for its model."""
    name = model.record.name
    calibrated = name in settings.score.grades or name == _GUIDES_MODEL
    return Score(similarity, model.model_id, thresholds(settings, name), calibrated, reference)


def thresholds(settings: Settings, name: str) -> GradeThresholds:
    """Return the thresholds of a model; those for bge-m3 if the settings have none."""
    grades = settings.score.grades.get(name, GradeSettings())
    return GradeThresholds(grades.good, grades.excellent)


def _refuse_blank(what: str, text: str) -> None:
    if not text.strip():
        raise VectrueError(f"the {what} is blank", fix="give a text")
