"""The documents are true, and the house is as they say: cheap checks over files,
nothing is started.

Hazard: a heuristic may be wrong about a line that is right. Then make the check finer;
do not make the line odd.
"""

import ast
import os
import re
import statistics
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from connectors.postgres import queries
from schemas import errors
from schemas.messages import chunk_ledger
from schemas.settings.reading import Settings
from streams.cli.main import app
from tests.support.root import ROOT

PRODUCT = ("schemas", "connectors", "streams")
SQL = ROOT / "connectors/postgres"
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
)
START = r"(?m)(?:^|\$ |\$\(|&& |bin/)"
"""Where a command begins in a line of code; what a command prints is not meant."""


def read(path: str | Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section(document: str, heading: str) -> str:
    """The text below `## heading`, up to the next one."""
    _, found, rest = read(document).partition(f"\n## {heading}\n")
    assert found, f"{document} has no section {heading!r}"
    return rest.split("\n## ", 1)[0]


def code(document: str) -> list[str]:
    """What stands in backticks or in a fenced block."""
    text = read(document)
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [
        *fenced,
        *re.findall(
            r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        ),
    ]


def modules(*folders: str) -> Iterator[Path]:
    """Python files below these folders, relative to the root."""
    for folder in folders:
        yield from (file.relative_to(ROOT) for file in sorted((ROOT / folder).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(read(path), str(path))


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def used_names(path: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name that a module uses or imports, with its line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.lineno, dotted(node)


def users(pattern: str, *folders: str) -> dict[str, int]:
    """Modules that use a name which fits the pattern, each with the first such line."""
    found: dict[str, int] = {}
    for path in modules(*folders):
        for line, name in used_names(path):
            if re.fullmatch(pattern, name):
                found.setdefault(str(path), line)
    return found


def strings(path: Path) -> Iterator[tuple[ast.expr, str]]:
    """Every string of a module but docstrings; of an f-string its fixed parts."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    statements = [s for node in ast.walk(tree(path)) if isinstance(node, owners) for s in node.body]
    documentation = {
        id(statement.value) for statement in statements if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.JoinedStr):
            yield (
                node,
                "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)),
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
        ):
            yield node, node.value


def test_every_error_is_in_the_table() -> None:
    """Each class of schemas/errors.py, and LedgerConflict, has its line in "Errors by
    kind", and no other has.
    """
    known = {
        value.__name__
        for module in (errors, chunk_ledger)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, errors.VectrueError)
    }
    rows = re.findall(
        r"^\| `(\w+)` \|", section("docs/architecture/errors.md", "Errors by kind"), re.MULTILINE
    )
    assert sorted(rows) == sorted(known)


def test_the_tree_of_errors_is_drawn_whole() -> None:
    """The drawing at the top of schemas/errors.py names every class of the module."""
    drawing = errors.__doc__ or ""
    classes = [n.name for n in tree(Path("schemas/errors.py")).body if isinstance(n, ast.ClassDef)]
    assert [name for name in classes if not re.search(rf"\b{name}\b", drawing)] == []


def test_the_faust_table_has_the_options_that_are_set() -> None:
    """The table of docs/architecture/faust.md and `_options` of streams/worker/app.py name the same
    settings.
    """
    options = next(
        n
        for n in tree(Path("streams/worker/app.py")).body
        if isinstance(n, ast.FunctionDef) and n.name == "_options"
    )
    returned = next(n.value for n in options.body if isinstance(n, ast.Return))
    assert isinstance(returned, ast.Dict)
    names = {key.value for key in returned.keys if isinstance(key, ast.Constant)} - {"broker"}
    cells = re.findall(
        r"^\| (`.*?`) \|", section("docs/architecture/faust.md", "Settings"), re.MULTILINE
    )
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == names


def test_the_readme_is_short() -> None:
    """README.md has at most 180 lines."""
    assert len(read("README.md").splitlines()) <= 180


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_make_targets_exist(document: str) -> None:
    """Every `make <target>` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    named = {
        target for text in code(document) for target in re.findall(rf"{START}make ([a-z]+)", text)
    }
    assert named <= targets, f"{document} names make {', '.join(sorted(named - targets))}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_exist(document: str) -> None:
    """Every `vectrue <command>` in a document is one that the program has."""
    commands: set[str] = set(getattr(typer.main.get_command(app), "commands", {}))
    named = {
        word for text in code(document) for word in re.findall(rf"{START}vectrue ([a-z]+)", text)
    }
    assert named <= commands, f"{document} names vectrue {', '.join(sorted(named - commands))}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_settings_exist(document: str) -> None:
    """Every `section.name` in a document is a setting, where the section is one."""
    known: dict[str, set[str]] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            known[name] = set(field.annotation.model_fields)
    spans = [span for span in code(document) if re.fullmatch(r"[a-z]+\.[a-z_]+( = .*)?", span)]
    named = [span.split(" ")[0].split(".") for span in spans]
    wrong = [
        ".".join(n)
        for n in named
        if n[0] in known and n[1] not in known[n[0]] and n[1] not in ("py", "sql")
    ]
    assert not wrong, f"{document} names the settings {', '.join(wrong)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_paths_in_documents_exist(document: str) -> None:
    """A file that a document names with its folder, or links to, is there."""
    folders = {folder.name for folder in ROOT.iterdir() if folder.is_dir()}
    spans = [
        s
        for s in code(document)
        if re.fullmatch(r"([\w-]+)/[\w.*/-]*", s) and s.split("/")[0] in folders
    ]
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", read(document))
    missing = [path for path in spans if not any(ROOT.glob(path.rstrip("/")))]
    missing += [path for path in links if not ((ROOT / document).parent / path).exists()]
    assert not missing, f"{document} names {', '.join(missing)}"


def test_references_between_files_lead_somewhere() -> None:
    """A comment that says docs/PAGE.md, "Section" means a section of that page."""
    pattern = re.compile(r'([\w/-]+\.md), "([^"]+)"')
    places = [*modules(*PRODUCT), Path("pyproject.toml"), Path("CONTRIBUTING.md")]
    places += [file.relative_to(ROOT) for file in SQL.rglob("*.sql")]
    references = [reference for path in places for reference in pattern.findall(read(path))]
    assert references
    lost = [
        f'{name}, "{heading}"'
        for name, heading in references
        if f"\n## {heading}\n" not in read(name)
    ]
    assert not lost, f"there is no {'; '.join(lost)}"


def test_every_folder_of_tests_is_explained() -> None:
    """CONTRIBUTING.md says of every folder of tests what it proves."""
    folders = {file.parent.name for file in (ROOT / "tests").glob("*/__init__.py")}
    assert folders == set(re.findall(r"^\| `(\w+)/` \|", read("CONTRIBUTING.md"), re.MULTILINE))


def test_no_file_is_long() -> None:
    """No module or query has more than 400 lines, and half of the modules have at most
    150.
    """
    python = {path: len(read(path).splitlines()) for path in modules(*PRODUCT, "examples", "tests")}
    queries = {file.relative_to(ROOT): len(read(file).splitlines()) for file in SQL.rglob("*.sql")}
    long = [f"{path} ({count} lines)" for path, count in (python | queries).items() if count > 400]
    assert not long, f"over 400 lines: {', '.join(long)}"
    assert statistics.median(python.values()) <= 150


def test_no_function_is_long() -> None:
    """No function has more than 80 lines, and 95 % of the product's have at most 35."""
    sizes = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in modules(*PRODUCT, "examples", "tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    long = [f"{where} ({lines} lines)" for where, lines in sizes.items() if lines > 80]
    assert not long, f"over 80 lines: {', '.join(long)}"
    product = [lines for where, lines in sizes.items() if where.startswith(PRODUCT)]
    assert sum(lines <= 35 for lines in product) >= 0.95 * len(product)


@pytest.mark.parametrize("package", sorted({str(path.parent) for path in modules(*PRODUCT)}))
def test_a_package_lists_its_modules(package: str) -> None:
    """The docstring of a package names each of its modules and packages."""
    listing = ast.get_docstring(tree(Path(package, "__init__.py"))) or ""
    names = [file.stem for file in (ROOT / package).glob("*.py") if file.stem != "__init__"]
    names += [file.parent.name for file in (ROOT / package).glob("*/__init__.py")]
    unnamed = [name for name in names if not re.search(rf"\b{name}\b", listing)]
    assert not unnamed, f"{package}/__init__.py does not name {', '.join(sorted(unnamed))}"


def test_a_class_name_means_one_thing() -> None:
    """No two classes of the product have the same name, an underscore in front aside."""
    places: dict[str, list[str]] = {}
    for path in modules(*PRODUCT):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name.lstrip("_"), []).append(str(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_one_module_reads_the_environment() -> None:
    """`os.environ` is read in schemas/settings/reading.py and nowhere else in what is
    shipped.
    """
    assert set(users(r"os\.(environ|environb|getenv|putenv)(\..*)?", *PRODUCT, "examples")) == {
        "schemas/settings/reading.py"
    }


def test_one_module_asks_for_the_time() -> None:
    """The time of day, monotonic time and sleeping are connectors/clock.py's alone."""
    asks = (
        r"time\.(time|monotonic|perf_counter)(_ns)?|time\.sleep"
        r"|(.*\.)?(datetime\.(now|utcnow|today)|date\.today)"
    )
    assert set(users(asks, *PRODUCT, "examples")) == {"connectors/clock.py"}


def test_faust_is_imported_where_the_documents_say() -> None:
    """Faust is met in streams/worker/app.py and streams/worker/process.py only."""
    importers = {
        str(path)
        for path in modules(*PRODUCT)
        for node in ast.walk(tree(path))
        if (
            isinstance(node, ast.Import)
            and any(alias.name.split(".")[0] == "faust" for alias in node.names)
        )
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "faust")
    }
    assert importers == {"streams/worker/app.py", "streams/worker/process.py"}


def test_every_query_is_used_and_every_used_query_exists() -> None:
    """No query is left over, and no name given to `connectors.postgres.queries` is
    without its query.
    """
    present = set(queries.named())
    asked = {
        str(call.args[0].value)
        for path in modules(*PRODUCT)
        for call in ast.walk(tree(path))
        if isinstance(call, ast.Call)
        and re.fullmatch(r"queries\.(text|compose|for_target)", dotted(call.func))
        if call.args and isinstance(call.args[0], ast.Constant)
    } | set(queries.FRAGMENTS)
    assert not present - asked, f"no module uses {', '.join(sorted(present - asked))}"
    assert not asked - present, f"there is no query {', '.join(sorted(asked - present))}"


def test_python_holds_no_sql_of_several_lines() -> None:
    """SQL longer than a line stands in a .sql file, where it has a name and a comment."""
    verb = re.compile(
        r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|GRANT|COPY)\s",
        re.MULTILINE,
    )
    found = [
        f"{path}:{n.lineno}"
        for path in modules(*PRODUCT)
        for n, text in strings(path)
        if "\n" in text and verb.search(text)
    ]
    assert not found, f"SQL of several lines in {', '.join(found)}"


def repository() -> Iterator[Path]:
    """Files of the checkout but those that git ignores, environments and other tools'
    folders.
    """
    ignored = {
        line.rstrip("/") for line in read(".gitignore").splitlines() if line.endswith("/")
    } | {".git"}
    for folder, folders, files in os.walk(ROOT):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if name not in ignored
            and not name.endswith(".egg-info")
            and not (here / name / "pyvenv.cfg").exists()
        ]
        yield from (here / name for name in files if (here / name).is_file())


def test_the_contracts_are_the_ones_described() -> None:
    """docs/architecture says how many contracts import-linter holds, and pyproject.toml
    has the layers in that order.
    """
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    house = section("docs/architecture/README.md", "The house")
    assert f"`{' → '.join(layers)}`" in house
    assert f"holds {('no', 'one', 'two', 'three', 'four')[len(contracts)]} contracts" in house
