"""What the sections of the settings have in common."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
)


def _sql_name(value: str) -> str:
    if (
        not value.replace("_", "").isalnum()
        or not value.isascii()
        or not value.islower()
        or len(value) > 63
    ):
        raise ValueError("use lower-case letters, digits and underscores")
    return value


SlotName = Annotated[str, AfterValidator(_sql_name)]


NameOrUnset = Annotated[str, AfterValidator(lambda value: value and _sql_name(value))]


class Section(BaseModel):
    """A frozen section in which unknown names are errors."""

    # hide_input: pydantic's own messages quote the value, which may be a password;
    # --debug shows them.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )
