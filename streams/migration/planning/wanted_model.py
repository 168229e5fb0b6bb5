"""The model that `migrate plan` is asked about: its id, what its files need, and how
commands and settings name it.
"""

import re
import shlex
from dataclasses import dataclass

from connectors.models import by_flag
from schemas.errors import ModelUnavailable
from schemas.settings.sections import ModelSettings
from streams.migration.planning.todo import Todo

_COMMAND = re.compile("run `(.+)`")
"""An advice that is a command and nothing else."""


@dataclass(frozen=True, slots=True)
class WantedModel:
    """The model to move to.

    Attributes:
        model: as flags name it.
        model_id: None where its files are needed for that and not here.
        todo: what its files need.
    """

    model: ModelSettings
    model_id: str | None
    todo: tuple[Todo, ...]

    @property
    def is_clear(self) -> bool:
        """Whether it is known which model is meant: without that there is nothing to
        type.
        """
        return self.model_id is not None or all(one.statement is not None for one in self.todo)

    @property
    def named(self) -> str:
        """As `start` takes it."""
        named = f" --model {shlex.quote(self.model.name)} --dimensions {self.model.dimensions}"
        return named + (
            f" --revision {shlex.quote(self.model.revision)}" if self.model.revision else ""
        )

    def naming(self, now: ModelSettings) -> str | None:
        """What the settings have to say before `finish`; None where they say it. `now`:
        what they say.
        """
        wanted = self.model
        if (now.name, now.dimensions, now.revision) == (
            wanted.name,
            wanted.dimensions,
            wanted.revision,
        ):
            return None
        said = f'model.name = "{wanted.name}" and model.dimensions = {wanted.dimensions}'
        said += f' and model.revision = "{wanted.revision}"' if wanted.revision else ""
        without = ", without model.revision" if now.revision and not wanted.revision else ""
        return f"set {said} in vectrue.toml{without}"


def look(model: ModelSettings) -> WantedModel:
    """Look for the model on this machine; its weights are not needed.

    Args:
        model: as flags name it.

    Raises:
        ConfigurationError: there is no such model, or it makes vectors of another
            length; the flag is named.
    """
    try:
        model_id = by_flag.opened(model).model_id
    except ModelUnavailable as error:
        typed = _COMMAND.fullmatch(error.fix or "")
        what = error.message if typed else f"{error.message}: {error.fix}"
        return WantedModel(
            model, None, (Todo("start", True, what, typed[1] if typed else None, "you"),)
        )
    try:
        by_flag.require(model)
    except ModelUnavailable as error:
        what = f"{error.message} of this machine; every worker needs them where it runs"
        pull = f"vectrue model pull {shlex.quote(model.name)}"
        return WantedModel(model, model_id, (Todo("replay", False, what, pull, "you"),))
    return WantedModel(model, model_id, ())
