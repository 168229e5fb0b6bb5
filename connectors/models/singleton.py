"""The model of a program: one per process, loaded once, for any number of threads.

    from connectors.models import get_embedding_model

    model = get_embedding_model()
    vectors = model.encode(["Python에서 GIL이 무엇인가요?"])  # float32[1, 1024]

Without arguments it is the model of vectrue.toml and the VECTRUE_ variables, so a
program has the same one as the workers that fill its tables.

Hazards: threads that compute, and a lock that is held, do not survive a fork, so ask
for the model in the child (as under gunicorn without `--preload`). Embed what a person
searches for by `encode_query`: many models treat it differently from what is stored.
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
    """The model of this process; the first call loads it, all others wait for that and
    get the same object.

    A failed load is not remembered: the next call tries again.

    Args:
        settings: the `[model]` section; that of vectrue.toml and the environment when
            None.

    Raises:
        ModelUnavailable: the weights are not on this machine, with the command that
            fetches them.
        ConfigurationError: a setting is wrong, or this process has loaded the model of
            other settings.
        TransientError: there is not enough memory on the device now.
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
            (
                f"this process has loaded {_model.settings.name} with other settings than it is "
                "asked for now"
            ),
            fix="ask with the same settings everywhere, or use open_model for a second model",
        )
    return _model


class EmbeddingModel:
    """A model that any thread may use; one at a time runs the network, in turns of one
    batch.
    """

    def __init__(self, settings: ModelSettings, model: LocalModel) -> None:
        """Wrap a model that nobody else uses; `get_embedding_model` makes the one of a
        process.
        """
        self.settings = settings
        self._model = model
        self._turn = threading.Lock()

    @property
    def model_id(self) -> str:
        """Id that stands beside each vector of this model."""
        return self._model.model_id

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._model.dimensions

    @property
    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut; None where there is no such limit."""
        return self._model.max_tokens

    def load(self) -> None:
        """Bring the weights into memory; does nothing when they are there."""
        with self._turn:
            self._model.load()

    def encode(
        self, texts: Sequence[str], batch_size: int = 32, show_progress_bar: bool = False
    ) -> Vector:
        """Embed stored texts, or texts to be compared with each other.

        When a batch does not fit into the device's memory, it is halved, down to one
        text, and the rest goes on.

        Args:
            texts: n texts, none of them blank; one beyond `max_tokens` is cut there.
            batch_size: texts per forward pass, unless `model.batch_size` is less, as it
                is with `model.low_memory`.
            show_progress_bar: on stderr.

        Returns:
            float32[n, dimensions], each row of unit length, in the order of the texts.

        Raises:
            PoisonText: the model cannot take one of them, which is named by its index;
                OutOfMemory when there is no room for it even by itself.
            TypeError: a single text instead of a list.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts; use encode_query for one query")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, not at least 1")
        size = min(batch_size, self.settings.batch_size)
        rows: Vector = np.empty((len(texts), self.dimensions), np.float32)
        # Texts of one length share a batch, since padding costs as much as text; the
        # longest come first, so that what does not fit shows at once.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        with Progress(console=Console(stderr=True), disable=not show_progress_bar) as progress:
            task = progress.add_task("embedding", total=len(texts))
            for start in range(0, len(order), size):
                self._fill(rows, texts, order[start : start + size], progress, task)
        return rows

    def encode_query(self, text: str) -> Vector:
        """Embed what somebody looks for: float32[dimensions], unit length, to be
        compared with stored texts.

        Raises:
            PoisonText: the model cannot take it.
        """
        with self._turn:
            return self._model.encode_query(text)

    def _fill(
        self, rows: Vector, texts: Sequence[str], batch: list[int], progress: Progress, task: TaskID
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
        log.warning("a batch was refused: trying halves of it", texts=len(batch))
        middle = len(batch) // 2
        self._fill(rows, texts, batch[:middle], progress, task)
        self._fill(rows, texts, batch[middle:], progress, task)


def _log_to_stderr() -> None:
    """Keep log lines out of what the program prints; structlog's default, where nobody
    chose another, is stdout.
    """
    if not structlog.is_configured():
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def _named(error: PoisonText | MemoryError, index: int, texts: Sequence[str]) -> PoisonText:
    """The same error, with the index that the caller knows the text by; never with its
    words.
    """
    kind = PoisonText if type(error) is PoisonText else OutOfMemory
    reason = error.message if isinstance(error, PoisonText) else "there is no memory for it"
    return kind(
        f"text {index} of {len(texts)} ({len(texts[index])} characters) cannot be embedded "
        f"({reason})"
    )
