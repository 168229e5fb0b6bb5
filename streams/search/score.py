"""Scoring: how near an answer is to a reference answer, or to the nearest of a
question's stored answers.

Both sides are embedded as documents: an answer is no query, and some models embed the
two differently.

Hazard: a stored answer that is wrong is a reference too, unless `score.where` leaves it
out.
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
"""Whose scale the default thresholds are on."""


def against_text(
    settings: Settings, answer: str, reference: str, opened: Embedder | None = None
) -> Score:
    """Score an answer by a reference answer; no database is asked.

    Args:
        settings: the model, and thresholds by model.
        answer: what is scored.
        reference: a good answer.
        opened: a model to use instead of opening the settings' one.

    Raises:
        VectrueError: a text is blank.
        ModelUnavailable: the weights are not here.
    """
    for what, text in (("answer", answer), ("reference", reference)):
        _refuse_blank(what, text)
    model = opened or open_model(settings.model)
    first, second = model.encode_documents([answer, reference])
    return graded(settings, float(first @ second), model)


def against_stored(settings: Settings, searching: Search, answer: str, question: str) -> Score:
    """Score an answer by the nearest of the stored answers of a question.

    Args:
        settings: `[score]` says where the answers are and how they name their question.
        searching: over these settings; its models are used.
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
    """What `against_stored` asks the database for: the nearest stored answer, and that
    it is of this question.

    Raises:
        VectrueError: the answer is blank.
    """
    _refuse_blank("answer", answer)
    wanted = settings.score
    only = equals(wanted.question, question)
    return SearchRequest(answer, (wanted.table,), limit=1, where=wanted.where, exact=True), only


def by_hits(settings: Settings, hits: Sequence[Hit], model: Embedder, question: str) -> Score:
    """The score by the nearest stored answer, which this model embedded.

    Raises:
        VectrueError: there is none.
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
    """The score of a similarity that a model made, by the thresholds in force for it."""
    name = model.record.name
    calibrated = name in settings.score.grades or name == _GUIDES_MODEL
    return Score(similarity, model.model_id, thresholds(settings, name), calibrated, reference)


def thresholds(settings: Settings, name: str) -> GradeThresholds:
    """Those of a model by its name; the guide's, which were meant for bge-m3, where the
    settings have none.
    """
    grades = settings.score.grades.get(name, GradeSettings())
    return GradeThresholds(grades.good, grades.excellent)


def _refuse_blank(what: str, text: str) -> None:
    if not text.strip():
        raise VectrueError(f"the {what} is blank", fix="give a text")
