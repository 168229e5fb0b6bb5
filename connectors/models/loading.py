"""Load a sentence-transformers folder into memory, and check that no weight is missing.

Hazards:
- transformers fills a missing weight with random numbers and only logs it. The vectors
  would be nonsense, other nonsense in each process, so here it is an error.
- transformers loads the precision stated in config.json unless told otherwise, so the
  precision is always passed.
"""

import logging
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.models.placement import Placement
from schemas import extras
from schemas.errors import ModelUnavailable, TransientError, VectrueError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_MISSING = re.compile(r"^(\S+)\s*\|\s*MISSING", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_NO_ROOM = ("can't allocate memory", "not enough memory", "out of memory")
"""What PyTorch's RuntimeError says if the CPU (Linux, Windows) or Apple's GPU is out of
memory.
"""

_FAILURES = (
    MemoryError,
    OSError,
    ValueError,
    KeyError,
    RuntimeError,
    ImportError,
    pickle.UnpicklingError,
)
"""What the libraries raise over a model's files."""


def no_room(error: BaseException) -> bool:
    """Return whether an exception of PyTorch means that memory ran out."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # On a CPU it has no class of its own.
    if not isinstance(error, RuntimeError):
        return False
    return any(words in str(error) for words in _NO_ROOM)


def load_network(
    folder: Path, placement: Placement, max_tokens: int | None, threads: int | None
) -> "SentenceTransformer":
    """Load a folder; never uses the network.

    Args:
        folder: a sentence-transformers model, or a bare transformers one.
        placement: device and precision.
        max_tokens: texts are cut there; None: the model's own limit.
        threads: CPU threads of PyTorch in this process; None: unchanged.

    Raises:
        ModelUnavailable: the files are damaged, incomplete, or need other libraries.
        TransientError: the device has not enough memory now.
    """
    with extras.needed("the model"):
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it without annotations
    if threads is not None:
        torch.set_num_threads(threads)
    missing: set[str] = set()
    try:
        with _load_report(missing):
            network = SentenceTransformer(
                str(folder),
                device=placement.device,
                local_files_only=True,
                model_kwargs={"dtype": getattr(torch, placement.dtype)},
                trust_remote_code=False,
            )
    except (*_FAILURES, SafetensorError) as error:
        raise _why_not(folder, placement.device, error) from error
    if missing:
        some = ", ".join(sorted(missing)[:3])
        raise ModelUnavailable(
            f"the model in {folder} lacks {len(missing)} weights ({some})",
            fix="fetch it again",
        )
    if max_tokens is not None:
        network.max_seq_length = max_tokens
    return network


def _why_not(folder: Path, device: str, error: Exception) -> VectrueError:
    if no_room(error):
        return TransientError(f"device {device} has no room for the model", fix="free memory there")
    if isinstance(error, pickle.UnpicklingError):
        # Weights in the old format, a pickle, with something else in it: maybe code.
        return ModelUnavailable(
            f"the weights of the model in {folder} hold more than numbers, or are damaged",
            fix="fetch it again, or choose another model",
        )
    if "trust_remote_code" in str(error):
        return ModelUnavailable(
            f"the model in {folder} needs code of its own, which vectrue does not run",
            fix="choose another model",
        )
    reason = str(error).split("\n", 1)[0]
    return ModelUnavailable(
        f"the model in {folder} cannot be loaded ({reason})", fix="fetch it again"
    )


@contextmanager
def _load_report(missing: set[str]) -> Iterator[None]:
    """Collect the names of weights that transformers reports as missing, and keep its
    report off stderr.
    """

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for name in _MISSING.findall(_ANSI.sub("", record.getMessage())):
                # A pooler is trained for another task; sentence-transformers has no
                # use for it.
                if "pooler." not in name:
                    missing.add(name)

    library = logging.getLogger("transformers")
    logger = logging.getLogger("transformers.modeling_utils")
    before = (library.level, logger.level, logger.propagate)
    collector = Collector(logging.WARNING)
    # The report must be made at any level of the library. The level is set on the
    # parent: a logger with a level of its own makes transformers check a plan for
    # several GPUs, and warn about it.
    library.setLevel(logging.WARNING)
    logger.setLevel(logging.NOTSET)
    logger.propagate = False
    logger.addHandler(collector)
    try:
        yield
    finally:
        logger.removeHandler(collector)
        library.setLevel(before[0])
        logger.setLevel(before[1])
        logger.propagate = before[2]
