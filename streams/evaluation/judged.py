"""Judged queries (searches with the rows that answer them), and texts to search in.

Both are files of JSON Lines. A judged query is `{"query": "...", "relevant": [17, 42]}`;
a key of several columns is an array: `[["ko", 17]]`. It may have a `kind`, by which
figures are split, and `"selected": true` if it was kept because a model finds it. Such a
query is left out, since it would favor that model. Other fields are ignored.

Hazard: keys are compared as text, in the form in which Postgres prints them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import VectrueError
from schemas.reports.comparison import ALL, JudgedQuery
from schemas.rows.document import is_blank
from schemas.rows.table import Key
from schemas.text_lines import decoded, read_json

_SHAPE = 'write it as {"query": "...", "relevant": [id, ...]}'


@dataclass(frozen=True, slots=True)
class Judged:
    """The queries of a file, and how many of them were left out as `selected`."""

    file: Path
    queries: tuple[JudgedQuery, ...]
    left_out: int


def read_queries(file: Path) -> Judged:
    """Read judged queries.

    Args:
        file: of JSON Lines.

    Returns:
        the queries in the order of their lines.

    Raises:
        VectrueError: the file cannot be read or has no query, or a line is malformed;
            with the line's number.
    """
    queries: list[JudgedQuery] = []
    left_out = 0
    for number, line in _objects(file):
        query = _judged_query(number, line, f"line {number} of {file}")
        if query is None:
            left_out += 1
        else:
            queries.append(query)
    if not queries:
        raise VectrueError(f"{file} holds no judged query that may be asked", fix=_SHAPE)
    return Judged(file, tuple(queries), left_out)


def _judged_query(number: int, line: Mapping[str, Any], where: str) -> JudgedQuery | None:
    """Check a line; None if its query is `selected`."""
    text, relevant, kind = line.get("query"), line.get("relevant"), line.get("kind")
    if not isinstance(text, str) or is_blank(text):
        raise VectrueError(f"{where} has no query", fix=_SHAPE)
    if not isinstance(relevant, list) or not relevant:
        raise VectrueError(f"{where} judges no row as relevant", fix=_SHAPE)
    if not isinstance(kind, str | None):
        raise VectrueError(
            f"{where} has a kind that is not text", fix="write a word, or leave it out"
        )
    if kind == ALL:
        raise VectrueError(
            f"{where} has the kind {ALL}, which stands for all of them",
            fix="write another word",
        )
    if line.get("selected"):
        return None
    keys: dict[Key, None] = {}
    for value in relevant:
        keys[_key(value, where)] = None
    return JudgedQuery(number, text, tuple(keys), kind)


def judged_keys(queries: Sequence[JudgedQuery]) -> list[Key]:
    """Return each id that is judged once, in the order of the queries."""
    found: dict[Key, None] = {}
    for query in queries:
        found.update(dict.fromkeys(query.relevant))
    return list(found)


def read_corpus(file: Path, field: str) -> dict[Key, str]:
    """Read texts to search in: `{"id": 17, "<field>": "..."}`.

    Args:
        file: of JSON Lines.
        field: the name of the field that has the text.

    Returns:
        texts by key; blank ones are left out.

    Raises:
        VectrueError: the file cannot be read or has no text, or a line is malformed or
            repeats an id.
    """
    found: dict[Key, str] = {}
    for number, line in _objects(file):
        where = f"line {number} of {file}"
        text = line.get(field)
        if "id" not in line or not isinstance(text, str):
            raise VectrueError(
                f"{where} has no id, or no text in its field {field!r}", fix="name it: --text-field"
            )
        key = _key(line["id"], where)
        if key in found:
            raise VectrueError(
                f"{where} repeats the id {','.join(key)}", fix="give every text an id of its own"
            )
        # A blank text gets no vector, so no search finds it.
        if not is_blank(text):
            found[key] = text
    if not found:
        raise VectrueError(f"{file} holds no text", fix='write lines like {"id": 1, "text": "..."}')
    return found


def _objects(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        lines = file.read_bytes().splitlines()
    # ValueError: the path contains a NUL.
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise VectrueError(f"{file} cannot be read ({why})", fix="check the path") from error
    for number, line in enumerate(decoded(lines, str(file)), 1):
        if not line.strip():
            continue
        try:
            value = read_json(line)
        except ValueError as error:
            raise VectrueError(
                f"line {number} of {file} is not JSON ({error})", fix="correct the line"
            ) from error
        if not isinstance(value, dict):
            raise VectrueError(
                f"line {number} of {file} is not a JSON object", fix="correct the line"
            )
        yield number, value


def _key(value: object, where: str) -> Key:
    parts = value if isinstance(value, list) and value else [value]
    key: list[str] = []
    for part in parts:
        # bool is a subclass of int.
        if isinstance(part, bool) or not isinstance(part, str | int):
            raise VectrueError(
                f"{where} has an id that is neither text nor a whole number",
                fix="correct the line",
            )
        key.append(str(part))
    if "\0" in "".join(key):
        raise VectrueError(
            f"{where} has an id that no row can have: it contains a NUL",
            fix="correct the line",
        )
    return tuple(key)
