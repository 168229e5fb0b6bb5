"""Model id: what is stored beside each vector, so that vectors of different models are
never mixed.

`name@revision+hash8`. Two processes with equal ids make equal vectors (up to rounding),
on any machine. The hash covers what must match for that: name, revision, weights,
pooling, normalisation, dimensions, token limit, prompts, text treatment. It leaves out
precision and device, which only change the last bits.

Hazard: every change of what goes in here makes all stored vectors stale. Bump nothing
without a reason.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from connectors.models.files.layout import files_below, needed_files
from schemas.reports.model_record import ModelRecord

TEXT_VERSION = 2
"""How a text is treated before the tokenizer. 1: exactly as Postgres returns it; 2: in
its normal form (text.py).
"""

_SHORT = 7
"""Characters of a commit that git shows by default."""


def model_id(name: str, revision: str, numbers: Mapping[str, object]) -> str:
    """Return the id of a model.

    Args:
        name: repository, or base name of a folder; never a path, so that the id is the
            same on every machine.
        revision: full commit, digest of a folder or version of a package; its first
            seven characters are shown.
        numbers: everything else that changes the vectors, as plain JSON data.

    Returns:
        for example `BAAI/bge-m3@5617a9f+3f2a9c01`.
    """
    return f"{name}@{revision[:_SHORT]}+{fingerprint(name, revision, numbers)[:8]}"


def fingerprint(name: str, revision: str, numbers: Mapping[str, object]) -> str:
    """Return the whole hash (64 hex digits), of which the id has the first eight."""
    content = {
        **numbers,
        "name": name,
        "revision": revision,
        "text": TEXT_VERSION,
        "normalise": "l2",
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def record(
    name: str,
    revision: str,
    numbers: Mapping[str, object],
    *,
    dimensions: int,
    pooling: str | None = None,
    max_tokens: int | None = None,
) -> ModelRecord:
    """Return everything that is kept about a model; `numbers` as for `model_id`."""
    return ModelRecord(
        model=model_id(name, revision, numbers),
        name=name,
        revision=revision,
        dimensions=dimensions,
        pooling=pooling,
        max_tokens=max_tokens,
        fingerprint=fingerprint(name, revision, numbers),
    )


def folder_digest(folder: Path) -> str:
    """Digest of the files a model is made of: weights, tokenizer and configuration (64
    hex digits).

    Reads every file once per process, about 1.5 s for 1 GB. A file whose size or
    modification time has changed is read again.
    """
    total = hashlib.sha256()
    for name in needed_files(sorted(files_below(folder))):
        file = folder / name
        status = file.stat()
        digest = _file_digest(file, status.st_size, status.st_mtime_ns)
        total.update(f"{name}\0{digest}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(file: Path, _size: int, _mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
