"""The defects of `make mutants` are still defects of this code."""

from tests.mutants.defects import DEFECTS, misplaced
from tests.support.root import ROOT


def test_every_defect_can_be_put_into_the_code() -> None:
    """The text that a defect replaces stands exactly once in its file, and the tests
    that must notice it exist.
    """
    assert misplaced(DEFECTS) == []
    for defect in DEFECTS:
        for test in defect.tests:
            file, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(encoding="utf-8"), (
                test
            )
