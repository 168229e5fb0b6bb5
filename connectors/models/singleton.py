"""The model of a program: one per process, loaded once, for any number of threads.

    from connectors.models import get_embedding_model

    model = get_embedding_model()
    vectors = model.encode(["Python에서 GIL이 무엇인가요?"])  # float32[1, 1024]

Without arguments it is the model of vectrue.toml and the VECTRUE_ variables: the one of
the workers that fill the program's tables.

Hazards:
- Threads that compute, and a lock that is held, do not survive a fork. Ask for the
  model in the child process (as under gunicorn without `--preload`).
- Embed what a person searches for with `encode_query`: many models treat queries
  differently from stored texts.
"""

import sys
import threading
from collections.abc import Sequence

import numpy as np
import structlog
from rich.console import Console  # noqa: TID251 - not the command line: it shows figures only
from rich.progress import Progress, TaskID

from connectors.models.choice import LocalModel, choose
from schemas.errors import ConfigurationError, OutOfMemory, PoisonText
from schemas.rows.document import Vector
from schemas.settings import reading as settings_module
from schemas.settings.sections import ModelSettings

log = structlog.get_logger(__name__)
_lock = threading.Lock()
_model: "EmbeddingModel | None" = None


def get_embedding_model(settings: ModelSettings | None = None) -> "EmbeddingModel":
    """Return the model of this process.

    The first call loads it; other threads wait, and get the same object. After a failed
    load the next call retries.

    Args:
        settings: the `[model]` section; None: that of vectrue.toml and the environment.

    Raises:
        ModelUnavailable: the weights are not on this machine; with the command that
            fetches them.
        ConfigurationError: a setting is wrong, or this process has loaded a model with
            other settings.
        TransientError: the device has not enough memory now.
    """
    global _model  # noqa: PLW0603 - one per process is what this function is for
    with _lock:
        if _model is None:
            _log_to_stderr()
            chosen = settings or settings_module.load().model
            loaded = EmbeddingModel(chosen, choose(chosen))
            loaded.load()
            _model = loaded
    if settings is not None and settings != _model.settings:
        raise ConfigurationError(
            f"this process has loaded {_model.settings.name} with other settings than "
            "it is asked for now",
            fix="ask with the same settings everywhere, or use open_model for a second model",
        )
    return _model


class EmbeddingModel:
    """A model that any thread may use. One thread at a time runs the network, for one
    batch.

    Args:
        settings: the `[model]` section.
        model: wrapped here, and used by no one else.
    """

    def __init__(self, settings: ModelSettings, model: LocalModel) -> None:
        self.settings = settings
        self._model = model
        self._turn = threading.Lock()

    @property
    def model_id(self) -> str:
        """Id that is stored beside each vector of this model."""
        return self._model.model_id

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._model.dimensions

    @property
    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut; None: there is no such limit."""
        return self._model.max_tokens

    def load(self) -> None:
        """Load the weights into memory; does nothing if they are there."""
        with self._turn:
            self._model.load()

    def encode(
        self, texts: Sequence[str], batch_size: int = 32, show_progress_bar: bool = False
    ) -> Vector:
        """Embed stored texts, or texts to be compared with each other.

        A batch that does not fit into the device's memory is halved, down to one text.

        Args:
            texts: n texts, none of them blank; each is cut at `max_tokens`.
            batch_size: texts per forward pass; `model.batch_size`, if that is less.
            show_progress_bar: on stderr.

        Returns:
            float32[n, dimensions], each row of unit length, in the order of the texts.

        Raises:
            PoisonText: the model cannot embed one of them, which is named by its index.
            OutOfMemory: the device has no memory for one of them, even alone.
            TypeError: a single text instead of a list.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts; use encode_query for one query")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        size = min(batch_size, self.settings.batch_size)
        rows: Vector = np.empty((len(texts), self.dimensions), np.float32)
        # Texts of one length share a batch, since padding costs as much as text. The
        # longest come first, so that a lack of memory shows at once.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        bar = Progress(console=Console(stderr=True), disable=not show_progress_bar)
        with bar as progress:
            task = progress.add_task("embedding", total=len(texts))
            for start in range(0, len(order), size):
                self._fill(rows, texts, order[start : start + size], progress, task)
        return rows

    def encode_query(self, text: str) -> Vector:
        """Embed a search query, to compare it with stored texts.

        Args:
            text: what a person typed.

        Returns:
            float32[dimensions], of unit length.

        Raises:
            PoisonText: the model cannot embed it.
        """
        with self._turn:
            return self._model.encode_query(text)

    def _fill(
        self,
        rows: Vector,
        texts: Sequence[str],
        batch: list[int],
        progress: Progress,
        task: TaskID,
    ) -> None:
        """Embed the texts at these positions into their rows."""
        try:
            with self._turn:
                rows[batch] = self._model.encode_documents([texts[i] for i in batch])
        except (PoisonText, MemoryError) as error:
            if len(batch) == 1:
                raise _named(error, batch[0], texts) from error
        else:
            progress.advance(task, len(batch))
            return
        # Behind the handler, where the failed batch's memory is free again.
        log.warning("batch refused, trying halves of it", texts=len(batch))
        middle = len(batch) // 2
        self._fill(rows, texts, batch[:middle], progress, task)
        self._fill(rows, texts, batch[middle:], progress, task)


def _log_to_stderr() -> None:
    """Log to stderr, unless the program has configured structlog, whose default is
    stdout.
    """
    if not structlog.is_configured():
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def _named(error: PoisonText | MemoryError, index: int, texts: Sequence[str]) -> PoisonText:
    """Return the same error with the caller's index of the text, without its words."""
    kind = PoisonText if type(error) is PoisonText else OutOfMemory
    reason = "there is no memory for it"
    if isinstance(error, PoisonText):
        reason = error.message
    characters = len(texts[index])
    return kind(
        f"text {index} of {len(texts)} ({characters} characters) cannot be embedded ({reason})"
    )
