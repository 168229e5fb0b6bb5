"""BAAI/bge-m3, and every other sentence-transformers model by name or folder.

bge-m3: XLM-RoBERTa-large, the first token's vector, 1024 dimensions, 8,192 tokens, no
prompts, 2.3 GB.

Hazards: vectors depend in their last bits on the batch they ride in, so never compare
their bytes. A text of 8,192 tokens takes 90 s on two CPU cores; `model.max_tokens` is
the cure.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from numpy.typing import NDArray

from connectors.models import half_copy
from connectors.models.files import hub
from connectors.models.files.fingerprint import folder_digest, record
from connectors.models.files.layout import Layout, main_folder, read_json, read_layout
from connectors.models.loading import load_network, no_room
from connectors.models.placement import Placement, place
from connectors.models.process_memory import release_memory, resident_bytes
from connectors.models.text import prepare
from connectors.models.vectors import check_dimensions, check_max_tokens, unit_rows
from connectors.models.weights import (
    ITEM_BYTES,
    Footprint,
    Weights,
    disk_bytes,
    footprint,
    read_weights,
)
from connectors.ports import Clock
from schemas.errors import ConfigurationError, OutOfMemory
from schemas.reports.model_record import ModelRecord
from schemas.rows.document import Vector
from schemas.settings.sections import ModelSettings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = structlog.get_logger(__name__)


class SentenceTransformerEmbedder:
    """Any sentence-transformers model. Prompts are the model's own, for documents and
    for queries.
    """

    kind = "sentence-transformers"

    def __init__(self, settings: ModelSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._network: SentenceTransformer | None = None
        self._batch_size = settings.batch_size

    @property
    def dimensions(self) -> int:
        """Length of a vector, from the model's files; only where they do not say, the
        weights are loaded for it.

        Raises:
            TargetMismatch: `model.dimensions` is another number.
            ModelUnavailable: the model is not on this machine, and not one whose layout
                is known.
        """
        dimensions = self._layout.dimensions
        if dimensions is None:
            dimensions = self._loaded().get_embedding_dimension()
        if dimensions is None:
            raise ConfigurationError(
                f"{self._settings.name} does not say its dimensions",
                fix="choose another model.name",
            )
        check_dimensions(self._settings, dimensions)
        return dimensions

    @property
    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut, of which the tokenizer's own markers take
        two.

        Raises:
            ConfigurationError: `model.max_tokens` is more than the model takes.
        """
        return check_max_tokens(self._settings, self._layout.max_tokens)

    @property
    def model_id(self) -> str:
        """Id from the commit, or for a folder from the content of its files (read once
        per process).
        """
        return self.record.model

    @cached_property
    def record(self) -> ModelRecord:
        """As the port says."""
        revision = self._revision
        numbers = {
            **asdict(self._layout),
            "dimensions": self.dimensions,
            "max_tokens": self.max_tokens,
        }
        return record(
            self._source.name,
            revision,
            numbers,
            dimensions=self.dimensions,
            pooling=self._layout.pooling,
            max_tokens=self.max_tokens,
        )

    def location(self) -> Path:
        """Folder with the weights."""
        return self._source.required()

    def placement(self) -> Placement:
        """Device and precision, and why; imports torch."""
        return place(self._settings)

    def own_dimensions(self) -> int | None:
        """What the files say; None where they do not."""
        return self._layout.dimensions

    def footprint(self, placement: Placement) -> Footprint:
        """Sizes where it is placed; those of a known model are known without its files."""
        source, limit = self._source, self.max_tokens
        known = hub.KNOWN.get(source.name) if source.from_hub else None
        tokens = None if limit is None else limit * self._settings.batch_size
        if source.folder is None and known is not None and known.commit == source.commit:
            weights = Weights((), known.parameters, "float32")
            sizes = footprint(weights, placement, tokens=tokens, width=self.dimensions)
            return replace(sizes, size_bytes=known.parameters * ITEM_BYTES["float32"])
        folder = source.required()
        width = read_json(main_folder(folder) / "config.json").get("hidden_size")
        sizes = footprint(
            read_weights(self._half_copy(placement) or folder),
            placement,
            tokens=tokens,
            width=width,
        )
        return replace(sizes, size_bytes=disk_bytes(folder))

    def load(self) -> None:
        """Bring the weights into memory: seconds, and up to ten more for the libraries
        the first time.
        """
        self._loaded()

    def unload(self) -> None:
        """Drop the weights and give the memory back to the system."""
        if self._network is None:
            return
        before = resident_bytes()
        self._network = None
        release_memory()
        log.info(
            "model unloaded",
            model=self._settings.name,
            rss_before=before,
            rss_after=resident_bytes(),
        )

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Embed stored texts.

        Raises:
            PoisonText: the model's vector for one of them is not finite.
            OutOfMemory: the device has no room for one of them, even by itself.
        """
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return unit_rows(
            self._encode(prepare(texts, self.max_tokens), query=False), texts, self.dimensions
        )

    def encode_query(self, text: str) -> Vector:
        """Embed a search query."""
        query: Vector = self.encode_queries([text])[0]
        return query

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries; raises as `encode_documents`."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return unit_rows(
            self._encode(prepare(texts, self.max_tokens), query=True), texts, self.dimensions
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As the port says; loads the model, since the tokenizer comes with it."""
        if not texts:
            return []
        tokenizer = self._loaded().tokenizer
        cut = {"truncation": True, "max_length": self.max_tokens} if self.max_tokens else {}
        return [len(ids) for ids in tokenizer(prepare(texts, self.max_tokens), **cut)["input_ids"]]

    @cached_property
    def _source(self) -> hub.Source:
        return hub.locate(self._settings)

    @cached_property
    def _digest(self) -> str:
        """What the files of a folder were when the id was made."""
        return folder_digest(self._source.required())

    @property
    def _revision(self) -> str:
        """What the weights are known by: a commit, or the digest of a folder."""
        return self._source.commit or self._digest

    @cached_property
    def _layout(self) -> Layout:
        source = self._source
        known = hub.KNOWN.get(source.name) if source.from_hub else None
        if known is not None and source.commit == known.commit:
            return known.layout
        return read_layout(source.required())

    def _half_copy(self, placement: Placement) -> Path | None:
        """Folder of the weights in bfloat16, where that is wanted and was stored."""
        return (
            half_copy.find(self._source.name, self._revision)
            if placement.dtype == "bfloat16"
            else None
        )

    def _loaded(self) -> "SentenceTransformer":
        if self._network is None:
            folder = self._source.required()
            if self._layout.dimensions is not None:
                check_dimensions(self._settings, self._layout.dimensions)
            if not self._source.from_hub and folder_digest(folder) != self._digest:
                raise ConfigurationError(
                    f"the model in {folder} has changed since this process started",
                    fix="restart it",
                )
            max_tokens = self.max_tokens
            started = self._clock.monotonic()
            placement = self.placement()
            copy = self._half_copy(placement)
            log.info(
                "loading model",
                model=self._settings.name,
                device=placement.device,
                dtype=placement.dtype,
                bf16_copy=copy is not None,
            )
            folder = half_copy.checked(copy) if copy else folder
            self._network = load_network(folder, placement, max_tokens, self._settings.threads)
            seconds = round(self._clock.monotonic() - started, 1)
            log.info(
                "model loaded", model=self._settings.name, seconds=seconds, rss=resident_bytes()
            )
        return self._network

    def _encode(self, texts: list[str], *, query: bool) -> NDArray[np.floating[Any]]:
        """Run the network, with half the batch size, for good, each time the device
        runs out of memory.

        What does not fit by itself is no matter of the batch size, which is then what
        it was: one huge text must not slow down all that come after it.
        """
        network = self._loaded()
        encode = network.encode_query if query else network.encode_document
        before = self._batch_size
        while True:
            try:
                raw: NDArray[np.floating[Any]] = encode(
                    texts, batch_size=self._batch_size, show_progress_bar=False
                )
                return raw
            except (RuntimeError, MemoryError) as error:
                if not no_room(error):
                    raise
                if self._batch_size == 1 or len(texts) == 1:
                    self._batch_size = before
                    raise OutOfMemory(
                        (
                            f"device {network.device} has no room for one text of model.max_tokens "
                            f"= {self.max_tokens}"
                        ),
                        fix="free memory there, or lower model.max_tokens",
                    ) from error
            # Only behind the handler: inside it the traceback keeps the failed batch's
            # tensors alive.
            release_memory()
            self._batch_size //= 2
            log.warning("out of memory: smaller batches from now on", batch_size=self._batch_size)
