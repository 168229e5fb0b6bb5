"""Files that are judged by: searches with the rows that answer them, and texts to
search in. JSON Lines, both.

A judged query is `{"query": "...", "relevant": [17, 42]}`; a key of several columns is
an array: `[["ko", 17]]`. It may have a `kind`, by which figures are split, and
`"selected": true` when it was kept because a model finds it: such a query is left out,
since it would flatter that model. Other fields are ignored.

Hazard: a key is compared as text, in Postgres's form of it.
"""

from collections.abc import Iterator, Mapping
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

    Raises:
        VectrueError: the file cannot be read or holds none, or a line is not as above;
            with the line's number.
    """
    queries, left_out = [], 0
    for number, line in _objects(file):
        where = f"line {number} of {file}"
        text, relevant, kind = line.get("query"), line.get("relevant"), line.get("kind")
        if not isinstance(text, str) or is_blank(text):
            raise VectrueError(f"{where} has no query", fix=_SHAPE)
        if not isinstance(relevant, list) or not relevant:
            raise VectrueError(f"{where} judges no row as relevant", fix=_SHAPE)
        if not isinstance(kind, str | None):
            raise VectrueError(
                f"{where} has a kind that is no text", fix="write a word, or leave it out"
            )
        if kind == ALL:
            raise VectrueError(
                f"{where} has the kind {ALL}, which stands for all of them",
                fix="write another word",
            )
        if line.get("selected"):
            left_out += 1
            continue
        keys = dict.fromkeys(_key(value, where) for value in relevant)
        queries.append(JudgedQuery(number, text, tuple(keys), kind))
    if not queries:
        raise VectrueError(f"{file} holds no judged query that may be asked", fix=_SHAPE)
    return Judged(file, tuple(queries), left_out)


def read_corpus(file: Path, field: str) -> dict[Key, str]:
    """Read texts to search in: `{"id": 17, "<field>": "..."}`; blank ones are left out.

    Raises:
        VectrueError: the file cannot be read or holds none, a line is not as above or
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
        if not is_blank(text):
            found[key] = text
    if not found:
        raise VectrueError(f"{file} holds no text", fix='write lines like {"id": 1, "text": "..."}')
    return found


def _objects(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        lines = file.read_bytes().splitlines()
    except (OSError, ValueError) as error:  # the second of a path with a NUL
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
            raise VectrueError(f"line {number} of {file} is no JSON object", fix="correct the line")
        yield number, value


def _key(value: object, where: str) -> Key:
    parts = value if isinstance(value, list) and value else [value]
    if not all(isinstance(part, str | int) and not isinstance(part, bool) for part in parts):
        raise VectrueError(
            f"{where} has an id that is neither text nor a whole number", fix="correct the line"
        )
    key = tuple(str(part) for part in parts)
    if any("\0" in part for part in key):
        raise VectrueError(
            f"{where} has an id that no row can have: it holds a NUL", fix="correct the line"
        )
    return key
