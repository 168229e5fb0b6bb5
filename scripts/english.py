"""Find wording that has a plainer form: archaic words and conditions without "if".

Run by `make lint`. It reads the strings, docstrings and comments of Python, the comments
of SQL, and whole Markdown files. Each finding is printed as
`path:line: "found" -> replacement`.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

PATTERNS = (
    (r"\banew\b", "again, or new"),
    (r"\bmend(s|ed|ing)?\b", "fix"),
    (r"\blikewise\b", "also"),
    (r"\bwho(so)?ever\b", "anyone who, or name who"),
    # In backquotes it is the Unix user of that name.
    (r"(?<!`)\bnobody\b", "no one, or name who does not"),
    (r"\bsomebody\b", "someone, or name who"),
    (r"\beverybody\b", "everyone"),
    (r"\banybody\b", "anyone"),
    (r"\bas (it|they) stands?\b", "as is"),
    (r"\bby turns\b", "alternately"),
    (r"\bstands? back\b", "yield"),
    (r"\bin earnest\b", "in production"),
    (r"\blest\b", "so that ... not"),
    (r"\btold of\b|\btells? of\b", "report, or is reported"),
    (
        r"(?<!\bthere )(?<!\bThere )\b(is|are|was|were) no (?!longer|one|more|less|need|point)\w+",
        "is not a ..., or there is no ...",
    ),
    (
        (
            r"(^|[.;:] )(Is|Are|Was|Were|Has|Have|Does|Do|Did|Can) (?!it\b)[^.?!]{3,60}, "
            r"(it|they|the|a|an|its|no)\b(?![^.]*\?)"
        ),
        "If ..., ...",
    ),
    (r"\bof itself\b|\bby itself alone\b", "itself"),
    (r"\bthe like\b", "similar"),
    (r"\bthat is there\b", "existing"),
    (r"\bto be had\b", "available"),
    (r"\bis not to be\b", "must not be"),
    (r"\bshall\b", "must, or will"),
    (r"\bought to\b", "should"),
    (r"\bthereby|thereof|therein|whereby|wherein|hitherto|henceforth\b", "plain words"),
)
COMPILED = [
    (re.compile(pattern, 0 if pattern.startswith("(") else re.IGNORECASE), replacement)
    for pattern, replacement in PATTERNS
]
FOLDERS = ("schemas", "connectors", "streams", "scripts", "examples")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each line that people read."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from of_markdown(source)
    elif path.suffix == ".sql":
        for number, line in enumerate(source.splitlines(), 1):
            yield number, line.partition("--")[2]
    else:
        yield from of_python(source)


def of_markdown(source: str) -> Iterator[tuple[int, str]]:
    """Yield the lines outside of code blocks."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def of_python(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments, and strings of more than one word."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each banned pattern in the file."""
    for number, line in texts(path):
        for pattern, replacement in COMPILED:
            for found in pattern.finditer(line):
                yield f'{path}:{number}: "{found[0].strip()}" -> {replacement}'


def main() -> int:
    """Print the findings in the given files, or in the whole project; return 1 if there
    are any.
    """
    found: list[str] = []
    for path in sys.argv[1:] or project_files():
        found += findings(Path(path))
    print("\n".join(found))
    return bool(found)


def project_files() -> list[Path]:
    """List the files of the project that people read."""
    paths: list[Path] = []
    for folder in FOLDERS:
        for suffix in ("py", "sql"):
            paths += sorted(Path(folder).rglob(f"*.{suffix}"))
    return [*paths, *sorted(Path().glob("*.md")), *sorted(Path("docs").rglob("*.md"))]


if __name__ == "__main__":
    sys.exit(main())
