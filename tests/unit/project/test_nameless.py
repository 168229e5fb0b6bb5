"""A user id that has no name and no home can do all that a container's may have to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.local.stack import LocalStack
from connectors.models.files import hub
from schemas.errors import ConfigurationError, ModelUnavailable
from schemas.settings.reading import cache_directory
from schemas.settings.sections import ModelSettings
from tests.support.nameless import nameless

PROGRAM = """
import os, pwd, sys
try:
    pwd.getpwuid(os.getuid())
    sys.exit("this user has a name")
except KeyError:
    pass
from connectors.models import describe_model, open_model
from schemas.settings.sections import ModelSettings
from schemas.settings.reading import Settings
from streams.api import serve
from streams.worker import app, process, supervisor
from streams.cli import main

settings = Settings()
folder = app._options(settings)["datadir"]
assert str(os.getuid()) in folder, folder
import huggingface_hub, sentence_transformers
assert not describe_model(ModelSettings()).present
model = open_model(ModelSettings(name="lexical", dimensions=8))
assert model.encode_documents(["a"]).shape == (1, 8)
"""


def test_a_worker_needs_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`docker run --user 12345`: everything is imported, Faust's folder has the id in
    its name, a model is opened.
    """
    nameless(monkeypatch, tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_who_has_no_home_has_the_root_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Docker has it; nothing is looked for in a folder that depends on where the
    process was started.
    """

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_directory() == Path("/.cache/vectrue")


def test_a_home_of_nobody_is_one_sentence() -> None:
    """`~` of a user that does not exist, in a setting or an option."""
    with pytest.raises(
        ModelUnavailable,
        match=(
            r"model\.name is ~nobody-here/m, and there is no such home directory: "
            "write the whole"
        ),
    ):
        hub.locate(ModelSettings(name="~nobody-here/m"))
    with pytest.raises(
        ConfigurationError,
        match=r"--dir is ~nobody-here/d, and there is no such home directory: write the whole",
    ):
        LocalStack(Path("~nobody-here/d"))
