"""The optional packages and their extras."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from schemas import extras
from schemas.errors import MissingExtra
from tests.support.root import ROOT


def _requirements() -> dict[str, set[str]]:
    """The distributions that each extra of pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, set[str]] = {}
    for extra, requirements in project["optional-dependencies"].items():
        found[extra] = {re.split(r"[\[=<>]", one)[0] for one in requirements}
    return found


def test_every_extra_is_that_of_pyproject() -> None:
    """A command never names an extra that pip does not know, and each package that an
    extra installs can be told from a fault of ours.
    """
    declared = _requirements()
    assert declared.pop("all") == {"vectrue"}
    assert declared.keys() == extras.PACKAGES.keys()
    modules = packages_distributions()
    for extra, packages in extras.PACKAGES.items():
        named: set[str] = set()
        for package in packages:
            named.update(name.lower().replace("_", "-") for name in modules[package])
        assert declared[extra] <= named, extra


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with what needs the package, and the command that installs it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with (
        pytest.raises(MissingExtra, match=r"--plot needs .* matplotlib.*'vectrue\[report\]'"),
        extras.needed("--plot"),
    ):
        import matplotlib.figure  # noqa: F401 - the import is the test


def test_a_fault_of_ours_stays_one() -> None:
    """A module that is in no extra is a bug, and its traceback must be seen."""
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), extras.needed():
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def test_a_package_is_looked_for_before_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """`require` imports nothing."""
    extras.require("ir_measures", what="the report")
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"the report needs .* ir_measures.*\[report\]"):
        extras.require("ir_measures", what="the report")
