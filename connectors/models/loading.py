"""A sentence-transformers folder into memory, and the check that no weight is missing.

Hazards: transformers fills a weight that the files lack with random numbers and only
logs it, so the vectors would be nonsense, and other nonsense in each process: here that
is an error. It loads the precision stated in config.json unless told otherwise, so the
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
"""What PyTorch's RuntimeError says when it is for want of memory on the CPU (Linux,
Windows), or on Apple's GPU.
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
"""Of the libraries, over a model's files."""


def no_room(error: BaseException) -> bool:
    """Whether an exception of PyTorch is for want of memory. On a CPU it has no class
    of its own.
    """
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_ROOM)


def not_numbers(folder: Path) -> ModelUnavailable:
    """What is said of weights in the old format, a pickle, that hold what is no number:
    it may be code.
    """
    return ModelUnavailable(
        f"the weights of the model in {folder} hold more than numbers, or are damaged",
        fix="fetch it again, or choose another model",
    )


def load_network(
    folder: Path, placement: Placement, max_tokens: int | None, threads: int | None
) -> "SentenceTransformer":
    """Load a folder; never uses the network.

    Args:
        folder: a sentence-transformers model, or a bare transformers one.
        placement: device and precision.
        max_tokens: texts are cut there; the model's own limit when None.
        threads: CPU threads of PyTorch in this process; unchanged when None.

    Raises:
        ModelUnavailable: the files are damaged, incomplete, or of a kind that needs
            other libraries.
        TransientError: there is not enough memory on the device now.
    """
    with extras.needed("the model"):
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it without annotations
    if threads is not None:
        torch.set_num_threads(threads)
    device, options = placement.device, {"dtype": getattr(torch, placement.dtype)}
    missing: set[str] = set()
    try:
        with _load_report(missing):
            network = SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                model_kwargs=options,
                trust_remote_code=False,
            )
    except (*_FAILURES, SafetensorError) as error:
        raise _why_not(folder, device, error) from error
    if missing:
        some = ", ".join(sorted(missing)[:3])
        raise ModelUnavailable(
            f"the model in {folder} lacks {len(missing)} weights ({some})", fix="fetch it again"
        )
    if max_tokens is not None:
        network.max_seq_length = max_tokens
    return network


def _why_not(folder: Path, device: str, error: Exception) -> VectrueError:
    if no_room(error):
        return TransientError(f"device {device} has no room for the model", fix="free memory there")
    if isinstance(error, pickle.UnpicklingError):
        return not_numbers(folder)
    if "trust_remote_code" in str(error):
        what = f"the model in {folder} needs code of its own, which vectrue does not run"
        return ModelUnavailable(what, fix="choose another model")
    reason = str(error).split("\n", 1)[0]
    return ModelUnavailable(
        f"the model in {folder} cannot be loaded ({reason})", fix="fetch it again"
    )


@contextmanager
def _load_report(missing: set[str]) -> Iterator[None]:
    """Collect the names of weights that transformers reports as missing, and keep its
    report off stderr.

    A pooler is not counted: it is trained for another task, and sentence-transformers
    does not use it.
    """

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            names = _MISSING.findall(_ANSI.sub("", record.getMessage()))
            missing.update(name for name in names if "pooler." not in name)

    library, logger = (
        logging.getLogger("transformers"),
        logging.getLogger("transformers.modeling_utils"),
    )
    before = (library.level, logger.level, logger.propagate)
    collector = Collector(logging.WARNING)
    # Whatever level was chosen for the library, its report must be made. The level is
    # set on the parent, because a logger with a level of its own makes transformers
    # check a plan for several GPUs, and warn about it.
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
