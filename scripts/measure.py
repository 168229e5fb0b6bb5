"""Measure the layout: folders, SQL, lines, comprehensions, comments, functions, pages.

Run as `python scripts/measure.py`; `--by-folder` prints the same per folder. It needs
only the standard library, so that other projects can be measured for comparison:
`python scripts/measure.py --root PATH --packages NAME ...`.
"""

import argparse
import ast
import io
import statistics
import tokenize
from collections import Counter
from pathlib import Path

PRODUCT = ("schemas", "connectors", "streams")
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def percent(part: float, whole: float) -> float:
    """Return the share in percent, 0 of nothing."""
    return 100 * part / whole if whole else 0.0


class Figures:
    """What was counted in the files that were added."""

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.statements = self.comprehensions = self.comments = self.skips = self.total = 0
        self.functions: list[int] = []
        self.modules: list[int] = []

    def add(self, path: Path) -> None:
        """Count one module."""
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        self.modules.append(len(lines))
        self.total += len(lines)
        for line in lines:
            if line.strip():
                self.lines.append(len(line))
        self.skips += source.count("# fmt: " + "skip")
        tree = ast.parse(source)
        for node in ast.walk(tree):
            self.statements += isinstance(node, ast.stmt)
            self.comprehensions += isinstance(node, COMPREHENSIONS)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            own_line = token.line.lstrip().startswith("#")
            self.comments += token.type == tokenize.COMMENT and own_line

    def show(self) -> str:
        """Return the figures in one line."""
        long = sum(length > 88 for length in self.lines)
        p95 = statistics.quantiles(self.functions, n=20)[-1] if len(self.functions) > 1 else 0
        return (
            f"mean line {statistics.fmean(self.lines):5.1f}  over 88: "
            f"{percent(long, len(self.lines)):4.1f} %  "
            f"comprehensions/100 statements "
            f"{percent(self.comprehensions, self.statements):4.1f} "
            f"({self.comprehensions}/{self.statements})  "
            f"own-line comments {percent(self.comments, len(self.lines)):3.1f} % "
            f"({self.comments})  fmt: skip {self.skips}  "
            f"longest module {max(self.modules)}  functions p95 {p95:.0f}  lines {self.total}"
        )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--packages", nargs="*", default=PRODUCT)
    parser.add_argument("--by-folder", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Print the figures of the product, and the longest pages."""
    options = parse()
    root = options.root
    paths = []
    queries = []
    for package in options.packages:
        paths += sorted((root / package).rglob("*.py"))
        queries += sorted((root / package).rglob("*.sql"))
    folders = Counter[str]()
    for path in paths:
        folders[folder_of(path, root)] += path.name != "__init__.py"
    largest = []
    for name, count in folders.most_common(5):
        largest.append(f"{name} {count}")
    print("largest folders:", ", ".join(largest))
    print("SQL files:", len(queries))
    print(measured(paths).show())
    if options.by_folder:
        for folder in sorted(+folders):
            part = [path for path in paths if folder_of(path, root) == folder]
            print(f"{folder:36}", measured(part).show())
    words = Counter[str]()
    for page in (*root.glob("*.md"), *(root / "docs").rglob("*.md")):
        name = str(page.relative_to(root))
        words[name] = len(page.read_text(encoding="utf-8").split())
    for name, count in words.most_common(12):
        print(f"{count:7,} words  {name}")


def folder_of(path: Path, root: Path) -> str:
    """Return the folder of a module, relative to the root."""
    return str(path.parent.relative_to(root))


def measured(paths: list[Path]) -> Figures:
    """Count the modules together."""
    figures = Figures()
    for path in paths:
        figures.add(path)
    return figures


if __name__ == "__main__":
    main()
