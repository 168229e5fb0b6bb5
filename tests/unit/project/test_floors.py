"""The lowest versions that pyproject.toml allows. That they pass the tests is tried by
`make floors`.
"""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.root import ROOT

PROMISED = {
    # below it, classes that a local folder's modules.json names are imported and run
    "sentence-transformers": "6",
    "torch": "2.6",  # below it, torch.load(weights_only=True) may run what is pickled
    "fastapi": "0.132",  # below it, a body without a Content-Type is read as JSON
    "rich": "14.3",  # below it, a bar that is switched off writes an empty line
    "tenacity": "9.2.1",  # the first whose jitter knows a multiplier
    "typer": "0.28",  # the first with exceptions of its own
}


def _declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    by_extra = dict(project["optional-dependencies"])
    assert by_extra.pop("all") == [f"vectrue[{','.join(by_extra)}]"]
    extras = [line for lines in by_extra.values() for line in lines]
    return {(one := Requirement(line)).name: one for line in [*project["dependencies"], *extras]}


def test_everything_that_is_installed_has_a_lowest_version() -> None:
    """Without one, an installer may keep whatever is there."""
    for name, requirement in _declared().items():
        assert [one for one in requirement.specifier if one.operator in (">=", "==")], name


@pytest.mark.parametrize(("name", "version"), PROMISED.items())
def test_versions_below_which_a_promise_does_not_hold_are_refused(name: str, version: str) -> None:
    """The bound of pyproject.toml is not under the version that brought what vectrue
    relies on.
    """
    (lowest,) = [one.version for one in _declared()[name].specifier if one.operator == ">="]
    assert Version(lowest) >= Version(version)
