"""What a sentence of ours tells its reader to do: commands to type, statements to run,
settings to write.

It reads as a person does: what stands in backticks or begins with `vectrue` is typed,
what ends in a semicolon and begins like DDL is run, and a sentence that speaks of
[model] or of the settings' tables has them edited.
"""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_COMMAND: Final = re.compile(
    r"vectrue ((?:migrate|replay|init|verify)\b[^`;\n]*?)"
    r"(?=`|;|\n|$|[,:.] |\.$| \(|\)|"
    r" (?:to|and|until|or|for|once|then|with|if|which|beside|again|after|first)\b)"
)
_STATEMENT: Final = re.compile(r"\b((?:DROP|ALTER|CREATE) [^;`]+);")
_LENGTH: Final = re.compile(r"(?:vector\(|model\.dimensions = )(\d+)")
_ID: Final = re.compile(r"lexical@\S*?[0-9a-f]{8}")
_LOOKS_ONLY: Final = (("migrate", "status"), ("migrate", "plan"), ("replay", "status"))


@dataclass(frozen=True)
class Step:
    """One thing to do: a command, a statement, a length for the settings' model, or
    tables to add to the settings.
    """

    command: tuple[str, ...] = ()
    statement: str = ""
    length: int = 0
    tables: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As a line of a transcript."""
        told = self.statement or (
            f"settings: {self.length or self.tables}" if not self.command else ""
        )
        return told or f"vectrue {shlex.join(self.command)}"


def told(
    said: str,
    *,
    lengths: Mapping[str, int],
    now: int,
    unlisted: Collection[str],
    typed: tuple[str, ...] = (),
) -> Iterator[Step]:
    """The steps in a sentence, in the order in which a reader tries them.

    Args:
        said: what a command printed.
        lengths: model id → length.
        now: the length that the settings name.
        unlisted: tables that the settings do not list.
        typed: the command that said it, which `--yes` is added to where it says so.
    """
    named = [lengths[name] for name in _ID.findall(said) if name in lengths]
    for statement in _STATEMENT.findall(said):
        yield Step(statement=statement)
    if "--yes" in said and typed and "--yes" not in typed:
        yield Step(command=(*typed, "--yes"))
    if "[model]" in said or "model.dimensions" in said or "settings name" in said:
        for length in dict.fromkeys([*named, *(int(found) for found in _LENGTH.findall(said))]):
            if length != now:
                yield Step(length=length)
    if "settings" in said or "[[tables]]" in said:
        yield from (Step(tables=(name,)) for name in unlisted if name in said)
    for match in _COMMAND.finditer(said):
        words = tuple(word for word in _split(match[1]) if word not in ("...", "…"))
        if words[:2] in _LOOKS_ONLY:
            continue
        yield Step(command=_whole(words, named, now))


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that a sentence has, and no shell
        return text.split()


def _whole(words: tuple[str, ...], named: list[int], now: int) -> tuple[str, ...]:
    """With the model that the reader means, where it says NAME and N or nothing."""
    if words[:2] != ("migrate", "start"):
        return words
    length = str(named[-1] if named else now)
    bare = tuple(
        word for word in words if word not in ("--model", "-m", "NAME", "--dimensions", "-d", "N")
    )
    return (
        words if any(word.isdigit() for word in words) else (*bare, "-m", "lexical", "-d", length)
    )
