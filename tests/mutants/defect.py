"""What a defect is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defect:
    """A change of the code that breaks a promise.

    Attributes:
        name: what is broken, in words.
        file: path in the repository.
        old: text that stands there exactly once.
        new: what it becomes.
        tests: pytest's ids; at least one of them must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
