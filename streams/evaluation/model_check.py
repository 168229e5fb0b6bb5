"""`vectrue model check`: does the model make vectors that can be trusted, here, now,
with these settings?

Loads it, embeds three texts, searches them, and judges what came out. No model that is
right fails; one that fails is broken, or its files, its device or its libraries are.

Hazard: it cannot tell a good model from a bad one. Similarities are for a person to
look at.
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
        "Python의 GIL(Global Interpreter Lock)은 한 번에 한 스레드만 실행하게 하여 멀티스레딩을 "
        "제한합니다."
    ),
    "FastAPI는 비동기 프로그래밍을 지원하는 웹 프레임워크로, 타입 힌트로 요청을 검증합니다.",
    "Docker는 애플리케이션을 컨테이너로 묶어 어디서나 같은 환경에서 실행합니다.",
)
QUERY = "파이썬 멀티스레딩 제약사항"
_SAME = 0.9999
"""Cosine above which two of these texts have the same vector. multilingual-e5-small,
whose vectors lie close together, has at most 0.86 here.
"""
_OWN = 0.999
"""Least cosine of a text alone to itself in a batch: bfloat16 over 24 layers is at
0.9998.
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found; None: not reached, or the system does not tell."""

    model_id: str
    dimensions: int
    load_seconds: float
    encode_seconds: float | None
    shape: tuple[int, ...] | None
    shortest: float | None
    """Length of the shortest vector; None when it is not finite."""
    longest: float | None
    query: str
    hits: list[tuple[float, str]]
    """Cosine similarity to the query and text, most similar first; none when a number
    is not finite.
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
        """The fields by name, hits as objects, and the verdict."""
        hits = [{"similarity": similarity, "text": text} for similarity, text in self.hits]
        return {**asdict(self), "hits": hits, "ok": self.ok}


def check(
    embedder: Embedder, clock: Clock, texts: Sequence[str] = TEXTS, query: str = QUERY
) -> Checked:
    """Load a model and judge its vectors.

    Args:
        embedder: the model.
        clock: times the loading and the embedding.
        texts: two or more different texts.
        query: what is searched among them.

    Raises:
        ConfigurationError: the model cannot be loaded, or makes vectors of another
            length than is configured.
        TransientError: the device has no memory for it now.
    """
    started = clock.monotonic()
    embedder.load()
    loaded = clock.monotonic()
    vectors, sought, problems = _embedded(embedder, texts, query)
    seconds = clock.monotonic() - loaded
    lengths = (
        None
        if vectors is None or vectors.ndim != 2
        else np.linalg.norm(vectors.astype(np.float64), axis=1)
    )
    finite = lengths is not None and lengths.size > 0 and bool(np.isfinite(lengths).all())
    return Checked(
        embedder.model_id,
        embedder.dimensions,
        loaded - started,
        None if vectors is None else seconds,
        None if vectors is None else vectors.shape,
        float(lengths.min()) if lengths is not None and finite else None,
        float(lengths.max()) if lengths is not None and finite else None,
        query,
        [] if problems or vectors is None or sought is None else _search(vectors, sought, texts),
        peak_bytes(),
        device_peak_bytes(),
        problems,
    )


def _embedded(
    embedder: Embedder, texts: Sequence[str], query: str
) -> tuple[Vector | None, Vector | None, list[str]]:
    """Vectors of the texts and of the query, as far as they came, and what is wrong
    with them.
    """
    vectors = sought = None
    try:
        vectors = embedder.encode_documents(texts)
        bisect.check(vectors, len(texts), embedder.dimensions)
        sought = embedder.encode_query(query)
        bisect.check(sought[None], 1, embedder.dimensions)
        alone = embedder.encode_documents(texts[:1])[0]
    except (ConfigurationError, TransientError):
        raise
    except PoisonText as error:
        return vectors, sought, [error.message]
    except Exception as error:  # noqa: BLE001 - whatever a broken network raises is what was looked for, and is told
        reason = error.message if isinstance(error, VectrueError) else str(error).split("\n", 1)[0]
        return vectors, sought, [f"the model raised {type(error).__name__} ({reason})"]
    return vectors, sought, _problems(vectors, alone)


def _problems(vectors: Vector, alone: Vector) -> list[str]:
    problems = []
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    if cosines.max() > _SAME:
        problems.append(
            f"different texts have the same vector (cosine {cosines.max():.6f}): it tells none "
            "from another"
        )
    own = float(vectors[0] @ alone)
    if own < _OWN:
        problems.append(
            f"a text has another vector alone than among others (cosine {own:.4f}): batches are "
            "not padded right"
        )
    return problems


def _search(vectors: Vector, sought: Vector, texts: Sequence[str]) -> list[tuple[float, str]]:
    similarities = vectors @ sought
    return [(float(similarities[i]), texts[i]) for i in np.argsort(-similarities)]
