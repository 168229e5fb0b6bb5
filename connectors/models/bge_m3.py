"""BAAI/bge-m3, and every other sentence-transformers model by name or folder.

bge-m3: XLM-RoBERTa-large, the first token's vector, 1024 dimensions, 8,192 tokens, no
prompts, 2.3 GB.

Hazards:
- The last bits of a vector depend on the rest of its batch, so never compare bytes.
- A text of 8,192 tokens takes 90 s on two CPU cores; lower `model.max_tokens` there.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from numpy.typing import NDArray
from typing_extensions import override

from connectors.models.choice import LocalModel
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


class SentenceTransformerEmbedder(LocalModel):
    """Any sentence-transformers model, with its own prompts for documents and queries."""

    kind = "sentence-transformers"

    def __init__(self, settings: ModelSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._network: SentenceTransformer | None = None
        self._batch_size = settings.batch_size

    @property
    @override
    def dimensions(self) -> int:
        """Length of a vector, from the model's files.

        Raises:
            TargetMismatch: `model.dimensions` is another number.
            ModelUnavailable: the model is not on this machine, and its layout is not
                known without files.
        """
        dimensions = self._layout.dimensions
        # Only files with a module of an unknown kind do not say.
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
    @override
    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut; two of them are the tokenizer's markers.

        Raises:
            ConfigurationError: `model.max_tokens` is more than the model takes.
        """
        return check_max_tokens(self._settings, self._layout.max_tokens)

    @property
    @override
    def model_id(self) -> str:
        """Id from the commit, or for a folder from the content of its files (read once
        per process).
        """
        return self.record.model

    @cached_property
    @override
    def record(self) -> ModelRecord:
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

    @override
    def location(self) -> Path:
        return self._source.required()

    @override
    def placement(self) -> Placement:
        return place(self._settings)

    @override
    def own_dimensions(self) -> int | None:
        return self._layout.dimensions

    @override
    def footprint(self, placement: Placement) -> Footprint:
        """Return sizes where it is placed; a known model needs no files for that."""
        source, limit = self._source, self.max_tokens
        tokens = None if limit is None else limit * self._settings.batch_size
        known = self._known
        if source.folder is None and known is not None:
            weights = Weights(known.parameters, "float32")
            sizes = footprint(weights, placement, tokens=tokens, width=self.dimensions)
            return replace(sizes, size_bytes=known.parameters * ITEM_BYTES["float32"])
        folder = source.required()
        width = read_json(main_folder(folder) / "config.json").get("hidden_size")
        sizes = footprint(read_weights(folder), placement, tokens=tokens, width=width)
        return replace(sizes, size_bytes=disk_bytes(folder))

    @override
    def load(self) -> None:
        """Load the weights into memory: seconds, and up to ten more for the libraries
        the first time.
        """
        self._loaded()

    @override
    def unload(self) -> None:
        """Drop the weights and return the memory to the system."""
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

    @override
    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Embed stored texts.

        Raises:
            PoisonText: the model's vector for one of them is not finite.
            OutOfMemory: the device has no memory for one of them, even alone.
        """
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        raw = self._encode(prepare(texts, self.max_tokens), query=False)
        return unit_rows(raw, texts, self.dimensions)

    @override
    def encode_query(self, text: str) -> Vector:
        query: Vector = self.encode_queries([text])[0]
        return query

    @override
    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries; raises as `encode_documents`."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        raw = self._encode(prepare(texts, self.max_tokens), query=True)
        return unit_rows(raw, texts, self.dimensions)

    @override
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens; loads the model, since the tokenizer comes with it."""
        if not texts:
            return []
        tokenizer = self._loaded().tokenizer
        limit = self.max_tokens
        cut = {"truncation": True, "max_length": limit} if limit else {}
        encoded = tokenizer(prepare(texts, limit), **cut)
        return [len(ids) for ids in encoded["input_ids"]]

    @cached_property
    def _source(self) -> hub.Source:
        return hub.locate(self._settings)

    @cached_property
    def _digest(self) -> str:
        """Digest of a folder's files when the id was made."""
        return folder_digest(self._source.required())

    @property
    def _revision(self) -> str:
        """A commit, or the digest of a folder."""
        return self._source.commit or self._digest

    @cached_property
    def _known(self) -> hub.KnownFiles | None:
        """What is known about this commit of the model without its files."""
        known = hub.KNOWN.get(self._source.name) if self._source.from_hub else None
        if known is None or known.commit != self._source.commit:
            return None
        return known

    @cached_property
    def _layout(self) -> Layout:
        if self._known is not None:
            return self._known.layout
        return read_layout(self._source.required())

    def _loaded(self) -> "SentenceTransformer":
        if self._network is None:
            folder = self._source.required()
            if self._layout.dimensions is not None:
                check_dimensions(self._settings, self._layout.dimensions)
            # The id would name other files than those that make the vectors.
            if not self._source.from_hub and folder_digest(folder) != self._digest:
                raise ConfigurationError(
                    f"the model in {folder} has changed since this process started",
                    fix="restart it",
                )
            max_tokens = self.max_tokens
            started = self._clock.monotonic()
            placement = self.placement()
            log.info(
                "loading model",
                model=self._settings.name,
                device=placement.device,
                dtype=placement.dtype,
            )
            self._network = load_network(folder, placement, max_tokens, self._settings.threads)
            log.info(
                "model loaded",
                model=self._settings.name,
                seconds=round(self._clock.monotonic() - started, 1),
                rss=resident_bytes(),
            )
        return self._network

    def _encode(self, texts: list[str], *, query: bool) -> NDArray[np.floating[Any]]:
        """Run the network, with half the batch size from then on each time the device
        runs out of memory.
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
                    # The batch size is not the cause: one huge text must not slow down
                    # all texts after it.
                    self._batch_size = before
                    raise self._no_memory(network) from error
            # Only behind the handler: inside it the traceback keeps the failed batch's
            # tensors alive.
            release_memory()
            self._batch_size //= 2
            log.warning("out of memory: smaller batches from now on", batch_size=self._batch_size)

    def _no_memory(self, network: "SentenceTransformer") -> OutOfMemory:
        return OutOfMemory(
            f"device {network.device} has no room for one text of model.max_tokens "
            f"= {self.max_tokens}",
            fix="free memory there, or lower model.max_tokens",
        )
