"""`vectrue model check`: whether the model works on this machine with these settings.

It loads the model, embeds three texts, searches them and checks the vectors. A correct
model never fails; if one fails, the model, its files, its device or its libraries are
broken.

Hazard: it cannot tell a good model from a bad one. Similarities are shown for a person
to look at.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from connectors.models.process_memory import device_peak_bytes, peak_bytes
from connectors.ports import Clock, Embedder
from schemas.errors import ConfigurationError, PoisonText, TransientError, VectrueError
from schemas.rows.document import Vector
from streams.common import bisect

TEXTS = (
    (
        "Python의 GIL(Global Interpreter Lock)은 한 번에 한 스레드만 실행하게 하여 "
        "멀티스레딩을 제한합니다."
    ),
    "FastAPI는 비동기 프로그래밍을 지원하는 웹 프레임워크로, 타입 힌트로 요청을 검증합니다.",
    "Docker는 애플리케이션을 컨테이너로 묶어 어디서나 같은 환경에서 실행합니다.",
)
QUERY = "파이썬 멀티스레딩 제약사항"
_SAME = 0.9999
"""Cosine above which two of these texts count as having the same vector. The vectors of
multilingual-e5-small lie close together, and have at most 0.86 here.
"""
_OWN = 0.999
"""Least cosine between a text embedded alone and in a batch. bfloat16 over 24 layers
reaches 0.9998.
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found; None if it was not reached, or the system does not tell."""

    model_id: str
    dimensions: int
    load_seconds: float
    encode_seconds: float | None
    shape: tuple[int, ...] | None
    shortest: float | None
    """Length of the shortest vector; None if it is not finite."""
    longest: float | None
    query: str
    hits: list[tuple[float, str]]
    """Cosine similarity to the query and text, most similar first; empty if there was a
    problem.
    """
    peak_bytes: int | None
    """Largest resident memory of the process, libraries included."""
    device_peak_bytes: int | None
    """Largest memory on a CUDA device."""
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether the vectors can be trusted."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, hits as objects, and whether all is well."""
        hits = [{"similarity": similarity, "text": text} for similarity, text in self.hits]
        return {**asdict(self), "hits": hits, "ok": self.ok}


def check(
    embedder: Embedder, clock: Clock, texts: Sequence[str] = TEXTS, query: str = QUERY
) -> Checked:
    """Load a model and check its vectors.

    Args:
        embedder: the model.
        clock: times the loading and the embedding.
        texts: two or more different texts.
        query: what is searched among them.

    Returns:
        figures, and the problems found.

    Raises:
        ConfigurationError: the model cannot be loaded, or makes vectors of another
            length than is configured.
        TransientError: the device is out of memory now.
    """
    started = clock.monotonic()
    embedder.load()
    loaded = clock.monotonic()
    vectors, sought, problems = _embedded(embedder, texts, query)
    seconds = clock.monotonic() - loaded
    shortest, longest = _lengths(vectors)
    hits: list[tuple[float, str]] = []
    if vectors is not None and sought is not None and not problems:
        hits = _search(vectors, sought, texts)
    return Checked(
        model_id=embedder.model_id,
        dimensions=embedder.dimensions,
        load_seconds=loaded - started,
        encode_seconds=None if vectors is None else seconds,
        shape=None if vectors is None else vectors.shape,
        shortest=shortest,
        longest=longest,
        query=query,
        hits=hits,
        peak_bytes=peak_bytes(),
        device_peak_bytes=device_peak_bytes(),
        problems=problems,
    )


def _lengths(vectors: Vector | None) -> tuple[float | None, float | None]:
    """Length of the shortest and the longest vector, if there are any and all are finite."""
    if vectors is None or vectors.ndim != 2:
        return None, None
    # In float64, so that the squares of large numbers do not overflow.
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if lengths.size == 0 or not np.isfinite(lengths).all():
        return None, None
    return float(lengths.min()), float(lengths.max())


def _embedded(
    embedder: Embedder, texts: Sequence[str], query: str
) -> tuple[Vector | None, Vector | None, list[str]]:
    """Return the vectors of texts and query as far as they came, and their problems."""
    vectors = sought = None
    try:
        vectors = embedder.encode_documents(texts)
        bisect.check(vectors, len(texts), embedder.dimensions)
        sought = embedder.encode_query(query)
        bisect.check(sought[None], 1, embedder.dimensions)
        alone = embedder.encode_documents(texts[:1])[0]
    except (ConfigurationError, TransientError):
        # These are about the settings and the device, not about the model.
        raise
    except PoisonText as error:
        return vectors, sought, [error.message]
    # Whatever a broken model raises is a finding of this check.
    except Exception as error:  # noqa: BLE001
        reason = error.message if isinstance(error, VectrueError) else str(error).split("\n", 1)[0]
        return vectors, sought, [f"the model raised {type(error).__name__} ({reason})"]
    return vectors, sought, _problems(vectors, alone)


def _problems(vectors: Vector, alone: Vector) -> list[str]:
    problems = []
    cosines = vectors @ vectors.T
    # A text is the same as itself.
    np.fill_diagonal(cosines, -1)
    if cosines.max() > _SAME:
        problems.append(
            f"different texts have the same vector (cosine {cosines.max():.6f}): the model "
            "does not tell them apart"
        )
    own = float(vectors[0] @ alone)
    if own < _OWN:
        problems.append(
            f"a text has another vector alone than in a batch (cosine {own:.4f}): batches are "
            "not padded correctly"
        )
    return problems


def _search(vectors: Vector, sought: Vector, texts: Sequence[str]) -> list[tuple[float, str]]:
    similarities = vectors @ sought
    return [(float(similarities[i]), texts[i]) for i in np.argsort(-similarities)]
