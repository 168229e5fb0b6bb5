"""One model in a process of its own, so that its memory can be measured.

The parent sends one request at a time over a pipe. The child measures its work and
answers with the figures, so the time of the pipe is not included.

Hazard: the child ends when the pipe is closed, and only then: it is in a session of its
own, so Ctrl-C does not reach it.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np

from connectors.clock import SystemClock
from connectors.models import open_model
from connectors.models.process_memory import peak_bytes, resident_bytes
from schemas.errors import VectrueError
from schemas.rows.document import Vector
from schemas.settings.reading import child_environment
from schemas.settings.sections import LogSettings, ModelSettings
from streams.common import logs
from streams.common.tracebacks import guard_tracebacks

_END_SECONDS = 5.0
_CHILD = "from streams.evaluation.compare.process import main; main()"
"""Not `-m`: the classes of the answers would be those of `__main__`, which the parent
cannot unpickle.
"""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that was loaded.

    Attributes:
        model_id: its id.
        dimensions: of a vector.
        load_seconds: time to load the weights and embed one text.
        memory_start: resident bytes of the process before that, if known.
    """

    model_id: str
    dimensions: int
    load_seconds: float
    memory_start: int | None


@dataclass(frozen=True, slots=True)
class EmbeddedQuery:
    """An embedded query: seconds, and its vector float32[dimensions]."""

    seconds: float
    vector: Vector


@dataclass(frozen=True, slots=True)
class Ranked:
    """The texts nearest to a query.

    Attributes:
        embed_seconds: time to embed the query.
        search_seconds: time to search.
        nearest: indexes of the texts, best first.
    """

    embed_seconds: float
    search_seconds: float
    nearest: Sequence[int]


class ModelProcess:
    """The parent's end. One request at a time; use it in a `with`."""

    def __init__(self, model: ModelSettings, log: LogSettings) -> None:
        """Start the process; the model is not loaded yet."""
        self.name = model.name
        self._pipe, theirs = Pipe()
        # -P: a file of the present folder must not hide an installed package.
        line = [sys.executable, "-P", "-c", _CHILD, str(theirs.fileno())]
        self._process = subprocess.Popen(
            line,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Ctrl-C must reach the parent only, which then ends the child.
            start_new_session=True,
            env=child_environment(),
        )
        # While this copy is open, the end of the child would go unnoticed.
        theirs.close()
        self._pipe.send((model, log))

    def open(self) -> LoadedModel:
        """Load the model, and embed one text so that what happens only once is done."""
        opened: LoadedModel = self._ask("open")
        return opened

    def hold(self, texts: int) -> None:
        """Allocate memory for the vectors of this many texts."""
        self._ask("hold", texts)

    def encode(self, start: int, texts: Sequence[str]) -> float:
        """Embed texts, and keep their vectors from `start` on; return seconds."""
        seconds: float = self._ask("encode", start, list(texts))
        return seconds

    def embed(self, text: str) -> EmbeddedQuery:
        """Embed a query."""
        answer: EmbeddedQuery = self._ask("embed", text)
        return answer

    def rank(self, text: str, most: int) -> Ranked:
        """Embed a query, and search all kept vectors exactly.

        Ties are in the order of the corpus.
        """
        ranked: Ranked = self._ask("rank", text, most)
        return ranked

    def memory_peak(self) -> int | None:
        """Return the peak resident bytes of the process; None if not known."""
        peak: int | None = self._ask("memory_peak")
        return peak

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End the process: wait for it, or kill it after an error or some seconds."""
        # This ends the child, unless it is in the middle of a request.
        self._pipe.close()
        if kind is not None:
            self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, what: str, *arguments: object) -> Any:
        try:
            self._pipe.send((what, arguments))
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            # The pipe breaks when the child ends, so this does not block.
            code = self._process.wait()
            raise VectrueError(
                f"the process that measures {self.name} ended with exit code {code}",
                fix="read what it printed above; -9 means that the system ran out of memory",
            ) from error
        if isinstance(answer, VectrueError):
            raise answer
        return answer


class _Measured:
    """The child's end: the methods of `ModelProcess`, measured."""

    def __init__(self, model: ModelSettings) -> None:
        self._clock = SystemClock()
        self._start = resident_bytes()
        self._model = open_model(model, self._clock)
        self._vectors: Vector = np.empty((0, 0), np.float32)

    def open(self) -> LoadedModel:
        begun = self._clock.monotonic()
        self._model.load()
        # What a library does at its first call must not count in the time of a query.
        self._model.encode_query("text")
        seconds = self._clock.monotonic() - begun
        return LoadedModel(self._model.model_id, self._model.dimensions, seconds, self._start)

    def hold(self, texts: int) -> None:
        self._vectors = np.empty((texts, self._model.dimensions), np.float32)

    def encode(self, start: int, texts: Sequence[str]) -> float:
        begun = self._clock.monotonic()
        vectors = self._model.encode_documents(texts)
        seconds = self._clock.monotonic() - begun
        if len(self._vectors):
            self._vectors[start : start + len(texts)] = vectors
        return seconds

    def embed(self, text: str) -> EmbeddedQuery:
        begun = self._clock.monotonic()
        vector = self._model.encode_query(text)
        return EmbeddedQuery(self._clock.monotonic() - begun, vector)

    def rank(self, text: str, most: int) -> Ranked:
        embedded = self.embed(text)
        begun = self._clock.monotonic()
        nearest = _nearest(self._vectors @ embedded.vector, most)
        return Ranked(embedded.seconds, self._clock.monotonic() - begun, nearest)

    def memory_peak(self) -> int | None:
        return peak_bytes()


def _nearest(similarity: Vector, most: int) -> list[int]:
    """Return the indexes of the largest values, best first; ties in their order."""
    rows = np.arange(len(similarity))
    if len(rows) > most:
        # With all rows that tie with the last one: a partition keeps any of them.
        rows = np.flatnonzero(similarity >= np.partition(similarity, -most)[-most])
    order: list[int] = rows[np.argsort(-similarity[rows], kind="stable")][:most].tolist()
    return order


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    guard_tracebacks()
    # Libraries print to stdout, where the parent writes its report.
    os.dup2(2, 1)
    pipe: Connection[Any, Any] = Connection(int(sys.argv[1]))
    try:
        model, log = pipe.recv()
        logs.configure(log)
        measured = _Measured(model)
        while True:
            what, arguments = pipe.recv()
            try:
                pipe.send(getattr(measured, what)(*arguments))
            except VectrueError as error:
                pipe.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The parent has closed the pipe, or is gone.
        return
