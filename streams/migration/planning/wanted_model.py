"""The model that `migrate plan` is asked about: its id, its files, and how it is named."""

import re
import shlex
from dataclasses import dataclass

from connectors.models import by_flag
from schemas.errors import ModelUnavailable
from schemas.settings.sections import ModelSettings
from streams.migration.planning.todo import Todo

_COMMAND = re.compile("run `(.+)`")
"""A fix that is a command and nothing else."""


@dataclass(frozen=True, slots=True)
class WantedModel:
    """The model to move to.

    Attributes:
        model: as flags name it.
        model_id: None when the id depends on files that are not on this machine.
        todo: what its files need.
    """

    model: ModelSettings
    model_id: str | None
    todo: tuple[Todo, ...]

    @property
    def is_clear(self) -> bool:
        """Whether it is known which model is meant; if not, there is nothing to type."""
        if self.model_id is not None:
            return True
        return all(one.statement is not None for one in self.todo)

    @property
    def named(self) -> str:
        """The flags that name it, as `start` takes them."""
        name = shlex.quote(self.model.name)
        named = f" --model {name} --dimensions {self.model.dimensions}"
        if self.model.revision:
            named += f" --revision {shlex.quote(self.model.revision)}"
        return named

    def naming(self, now: ModelSettings) -> str | None:
        """Say what to change in the settings before `finish`.

        Args:
            now: the settings' model.

        Returns:
            An instruction; None when they name the model already.
        """
        wanted = self.model
        if (now.name, now.dimensions, now.revision) == (
            wanted.name,
            wanted.dimensions,
            wanted.revision,
        ):
            return None
        said = f'model.name = "{wanted.name}" and model.dimensions = {wanted.dimensions}'
        if wanted.revision:
            said += f' and model.revision = "{wanted.revision}"'
        without = ", without model.revision" if now.revision and not wanted.revision else ""
        return f"set {said} in vectrue.toml{without}"


def look(model: ModelSettings) -> WantedModel:
    """Look for the model on this machine; its weights are not needed.

    Args:
        model: as flags name it.

    Raises:
        ConfigurationError: the model does not exist, or makes vectors of another
            length; the flag is named.
    """
    try:
        model_id = by_flag.opened(model).model_id
    except ModelUnavailable as error:
        # The id is made of files that are not on this machine.
        command = _COMMAND.fullmatch(error.fix or "")
        if command:
            todo = _todo("start", error.message, command[1], blocks=True)
        else:
            todo = _todo("start", f"{error.message}: {error.fix}", None, blocks=True)
        return WantedModel(model, None, (todo,))
    try:
        by_flag.require(model)
    except ModelUnavailable as error:
        # Only workers need the weights, from the replay on.
        what = f"{error.message} of this machine; every worker needs them where it runs"
        pull = f"vectrue model pull {shlex.quote(model.name)}"
        return WantedModel(model, model_id, (_todo("replay", what, pull, blocks=False),))
    return WantedModel(model, model_id, ())


def _todo(step: str, what: str, statement: str | None, *, blocks: bool) -> Todo:
    return Todo(step, blocks=blocks, what=what, statement=statement, who="you")
