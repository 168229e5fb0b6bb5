"""Measure the layout: folders, SQL, lines, comprehensions, comments, functions, pages.

Run as `python scripts/measure.py`; `--by-folder` prints the same per folder.
It needs only the standard library, so that other projects can be measured for comparison:
`python scripts/measure.py --root PATH --packages NAME ...`.
"""

import argparse
import ast
import io
import re
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
        self.lines += [len(line) for line in lines if line.strip()]
        self.skips += source.count("# fmt: " + "skip")
        tree = ast.parse(source)
        for node in ast.walk(tree):
            self.statements += isinstance(node, ast.stmt)
            self.comprehensions += isinstance(node, COMPREHENSIONS)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            self.comments += token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")

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
    paths = [
        p for package in options.packages for p in sorted((options.root / package).rglob("*.py"))
    ]
    folders = Counter(
        str(p.parent.relative_to(options.root)) for p in paths if p.name != "__init__.py"
    )
    print(
        "largest folders:", ", ".join(f"{name} {count}" for name, count in folders.most_common(5))
    )
    queries = [
        p for package in options.packages for p in sorted((options.root / package).rglob("*.sql"))
    ]
    print("SQL files:", len(queries))
    whole = Figures()
    for path in paths:
        whole.add(path)
    print(whole.show())
    if options.by_folder:
        for folder in sorted(folders):
            part = Figures()
            for path in paths:
                if str(path.parent.relative_to(options.root)) == folder:
                    part.add(path)
            print(f"{folder:36}", part.show())
    pages = [*options.root.glob("*.md"), *(options.root / "docs").rglob("*.md")]
    words = {
        str(p.relative_to(options.root)): len(re.findall(r"\S+", p.read_text(encoding="utf-8")))
        for p in pages
    }
    for name, count in sorted(words.items(), key=lambda item: -item[1])[:12]:
        print(f"{count:7,} words  {name}")


if __name__ == "__main__":
    main()
