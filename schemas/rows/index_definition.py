"""What an index is, read from its definition.

The definition is as pg_get_indexdef prints it with an empty search path.

Indexes of two vector columns are twins when their definitions are the same but for the
index's name, the table, and what belongs to the column: its name and those of its
provenance columns, its length, its model. So an index is known by what it does,
whatever its name, and whenever it was made.

Hazards:
- A name is replaced only where it stands for a column: never a function's, a type's, an
  operator class's, an option's or a word in a text that is spelt the same.
- The server drops a cast to the column's own length: `embedding::vector(1024)` of a
  column of 1,024 numbers is the plain column.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from schemas.errors import ConfigurationError
from schemas.rows.table import TableName
from schemas.rows.target import embedded_at

_TOKEN = re.compile(
    r"""(?P<literal>[eE]?'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")+")|(?P<word>[^\W\d][\w$]*)|(?P<number>\d+)"""
    r"""|(?P<other>::|\S)"""
)
_VECTORS = ("vector", "halfvec", "sparsevec", "bit")
# Most dimensions of HNSW and IVFFlat (pgvector); a sparsevec's limit is of its non-zero
# numbers.
_LONGEST = {"vector": 2000, "halfvec": 4000, "bit": 64_000}
_LIMITED = ("hnsw", "ivfflat")
_OWN_CAST = re.compile(r"\0 :: (?:\S+ \. )?\x01vector \( (\d+) \)")


@dataclass(frozen=True, slots=True)
class Vectors:
    """A vector column as definitions mention it: name, length and wanted model."""

    column: str
    dimensions: int
    model: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, and those of its provenance: an index on these goes with them."""
        name = self.column
        return name, f"{name}_hash", f"{name}_model", f"{name}_digest", embedded_at(name)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    name: str | None
    """What an identifier stands for, or a word."""
    start: int
    end: int


@dataclass(frozen=True)
class Definition:
    """`CREATE [UNIQUE] INDEX name ON [ONLY] table USING ...`, as the server prints it."""

    text: str

    @property
    def unique(self) -> bool:
        """Whether it is UNIQUE."""
        return self._tokens[1].text == "UNIQUE"

    @property
    def method(self) -> str:
        """`hnsw`, `ivfflat` or another."""
        return self._tokens[self._using + 1].name or ""

    @property
    def table(self) -> TableName:
        """The table that it is on."""
        names = [token.name for token in self._tokens[: self._using] if token.name is not None]
        return TableName(names[-2], names[-1])

    def carried(self, old: Vectors, new: Vectors) -> "Definition":
        """The same index for another column: name, length and model are replaced."""
        names = dict(zip(old.columns, new.columns, strict=True))
        edits: dict[int, str] = {}
        for i in self._columns(set(names)):
            edits[i] = quoted(names[self._tokens[i].name or ""])
        for i in self._lengths():
            if self._tokens[i].text == str(old.dimensions):
                edits[i] = str(new.dimensions)
        model = _literal(old.model)
        for i, token in enumerate(self._tokens):
            if token.text == model:
                edits[i] = _literal(new.model)
        text = self.text
        # From the end, so that the places of the edits that are left stay right.
        for i in sorted(edits, reverse=True):
            text = text[: self._tokens[i].start] + edits[i] + text[self._tokens[i].end :]
        return Definition(text)

    def create(
        self, name: str, table: TableName, *, concurrently: bool, tablespace: str | None = None
    ) -> str:
        """The statement that makes it, on one table alone.

        Args:
            name: of the index.
            table: whose.
            concurrently: whether reads and writes go on meanwhile. Otherwise it is the
                frame of a table with partitions, whose own indexes are then attached to
                it.
            tablespace: where it is kept; the database's default when None.
        """
        unique = "UNIQUE " if self.unique else ""
        how = "CONCURRENTLY " if concurrently else ""
        # Postgres builds no index of a partitioned table concurrently: each partition gets its own.
        only = "" if concurrently else "ONLY "
        on = f"{only}{quoted(table.schema)}.{quoted(table.name)}"
        where = self._start_of("WHERE")
        parts = [
            f"CREATE {unique}INDEX {how}{quoted(name)} ON {on}",
            self.text[self._tokens[self._using].start : where].strip(),
        ]
        if tablespace:
            parts.append(f"TABLESPACE {quoted(tablespace)}")
        if condition := self.text[where:].strip():
            parts.append(condition)
        return " ".join(parts)

    def identity(self, of: Vectors) -> tuple[object, ...]:
        """What twins have in common.

        Args:
            of: the column that the index reads.
        """
        columns, options = set(self._columns({of.column})), self._options
        kept = [i for i in range(self._using, len(self._tokens)) if i not in options]
        text = " ".join("\0" if i in columns else _plain(self._tokens[i]) for i in kept)
        settings = " ".join(_plain(self._tokens[i]) for i in options[2:-1]).split(" , ")
        before = ""
        # Casts and parentheses nest, so one pass may make room for the next.
        while before != text:
            before = text
            text = text.replace("( \0 )", "\0")
            text = _OWN_CAST.sub(
                lambda cast: "\0" if int(cast[1]) == of.dimensions else cast[0], text
            )
        return self.unique, tuple(sorted(settings)), text

    def too_long(self, of: Vectors) -> tuple[int, int] | None:
        """The length of its vectors and pgvector's limit, where the limit is passed.

        Args:
            of: the column that it reads.
        """
        if self.method not in _LIMITED:
            return None
        end = self._end_of_keys()
        names = [token.name for token in self._tokens[self._using : end]]
        last: int | None = None
        # A cast in the condition of a partial index says nothing about its vectors.
        for i in self._lengths():
            if i < end:
                last = i
        if last is not None:
            kind, length = self._tokens[last - 2].name or "", int(self._tokens[last].text)
        else:
            kind, length = _cast_kind(names), of.dimensions
        most = _LONGEST.get(kind, length)
        return (length, most) if length > most else None

    @cached_property
    def _tokens(self) -> list[_Token]:
        found = []
        for match in _TOKEN.finditer(self.text):
            text, name = match[0], None
            if match.lastgroup == "quoted":
                name = text[1:-1].replace('""', '"')
            elif match.lastgroup == "word":
                name = text
            found.append(_Token(text, name, match.start(), match.end()))
        return found

    @cached_property
    def _using(self) -> int:
        for i, token in enumerate(self._tokens):
            if token.text == "USING":
                return i
        raise ConfigurationError(f"{self.text!r} is not a definition of an index")

    def _outer(self) -> list[_Token]:
        """The tokens of the tail that stand in no parentheses, and those parentheses."""
        found, depth = [], 0
        for token in self._tokens[self._using :]:
            # Closed before the check and opened after it, so that both parentheses
            # count as outside.
            depth -= token.text == ")"
            if depth == 0:
                found.append(token)
            depth += token.text == "("
        return found

    def _start_of(self, word: str) -> int:
        """Return where a word outside parentheses begins; the text's end without one."""
        for token in self._outer():
            if token.text == word:
                return token.start
        return len(self.text)

    def _end_of_keys(self) -> int:
        return self._tokens.index(next(filter(_closes, self._outer())))

    @cached_property
    def _options(self) -> range:
        """The tokens of `WITH (...)`; none where there is none."""
        outer = self._outer()
        for here, opening, closing in zip(outer, outer[1:], outer[2:], strict=False):
            if (here.text, opening.text) == ("WITH", "("):
                return range(self._tokens.index(here), self._tokens.index(closing) + 1)
        return range(0)

    def _columns(self, names: set[str]) -> list[int]:
        """Where one of these names stands for a column."""
        tokens, found = self._tokens, []
        for i in range(self._using + 2, len(tokens)):
            after = tokens[i + 1].text if i + 1 < len(tokens) else ""
            before = tokens[i - 1].text
            # Such a name is a function, a schema, a type, a collation or a storage option.
            taken = after in ("(", ".") or before in (".", "::", "COLLATE") or i in self._options
            if tokens[i].name in names and not taken:
                found.append(i)
        return found

    def _lengths(self) -> list[int]:
        """Where the length of a cast to a vector type stands."""
        tokens, found = self._tokens, []
        for i in range(self._using + 2, len(tokens) - 2):
            if (
                tokens[i].name in _VECTORS
                and tokens[i + 1].text == "("
                and tokens[i + 2].text.isdigit()
            ):
                # The type may be written with its schema.
                start = i - 2 if tokens[i - 1].text == "." else i
                if tokens[start - 1].text == "::":
                    found.append(i + 2)
        return found


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _closes(token: _Token) -> bool:
    return token.text == ")"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(token: _Token) -> str:
    # Marked, so that an identifier never equals a literal or an operator of the same letters.
    return token.text if token.name is None else f"\1{token.name}"


def _cast_kind(names: list[str | None]) -> str:
    if "binary_quantize" in names:
        return "bit"
    return "halfvec" if "halfvec" in names else "vector"
