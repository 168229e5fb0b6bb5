"""A model that flags name, not the settings: errors about it name the flags.

Hazard: a sentence about `model.dimensions` would make its reader change settings that
are right, and stop the workers.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.models import by_name
from connectors.models.choice import choose
from connectors.models.files import hub
from connectors.ports import Embedder
from schemas.errors import ConfigurationError
from schemas.settings.sections import ModelSettings

_WORDS = (
    (re.compile(r"\bset model\.(dimensions|revision) = "), r"give --\1 "),
    (re.compile(r"\bmodel\.name\b"), "--model"),
    (re.compile(r"\bmodel\.(dimensions|revision)\b"), r"--\1"),
)


def opened(model: ModelSettings) -> Embedder:
    """Return the model, with its id and dimensions checked.

    The weights of a known model need not be on this machine.

    Args:
        model: as `--model`, `--dimensions` and `--revision` name it.

    Raises:
        ConfigurationError: there is no such model, or it makes vectors of another
            length; the flag is named.
        ModelUnavailable: its files are needed and not on this machine; with the command
            that fetches them.
    """
    with _named(model):
        found = choose(model)
        # The record reads the model's files, so what is wrong with them shows here.
        _ = found.record
        return found


def require(model: ModelSettings) -> None:
    """Refuse a model whose weights are not on this machine. Raises as `opened`."""
    with _named(model):
        by_name.require(model)


@contextmanager
def _named(model: ModelSettings) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        fix = error.fix
        if fix is not None:
            fix = _of_flags(fix.replace(hub.PULL, hub.pulling(model)))
        raise type(error)(_of_flags(error.message), fix=fix) from error


def _of_flags(sentence: str) -> str:
    for pattern, word in _WORDS:
        sentence = pattern.sub(word, sentence)
    return sentence
