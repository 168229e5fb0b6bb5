"""The project's name is one word everywhere."""

from tests.support.root import ROOT
from tests.unit.project.test_documents import repository

OLD = "embed" + "sync"


def test_the_old_name_is_gone() -> None:
    """No file has the project's first name, which is another tool's, in its path or its
    text.
    """
    files = list(repository())
    assert files
    assert [str(file) for file in files if OLD in str(file.relative_to(ROOT)).lower()] == []
    assert [str(file) for file in files if OLD.encode() in file.read_bytes().lower()] == []
