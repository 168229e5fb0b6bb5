"""No code that comes with a model is run or fetched: not its modules', its network's,
its tokenizer's or a pickle's.
"""

import ast
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.models import open_model
from connectors.models.files.layout import needed_files
from schemas.errors import ModelUnavailable
from schemas.settings.sections import ModelSettings
from tests.support.models import build_xlm_roberta
from tests.support.root import ROOT

LOADERS = {"SentenceTransformer", "CrossEncoder", "SparseEncoder", "from_pretrained", "pipeline"}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_xlm_roberta(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A model with a file of code, which leaves a mark when it is imported."""
    folder = Path(shutil.copytree(pristine, tmp_path / "small"))
    marks = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    classes = "class Module: ...\nclass Config: ...\nclass Network: ...\nclass Tokenizer: ...\n"
    (folder / "foreign.py").write_text(marks + classes)
    return folder


def change(file: Path, **values: object) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **values}))


def its_module(folder: Path) -> None:
    file = folder / "modules.json"
    modules = json.loads(file.read_text())
    file.write_text(
        json.dumps([*modules, {"idx": 9, "name": "9", "path": "", "type": "foreign.Module"}])
    )


def its_network(folder: Path) -> None:
    auto = {"AutoConfig": "foreign.Config", "AutoModel": "foreign.Network"}
    change(folder / "config.json", model_type="foreign", auto_map=auto)


def its_tokenizer(folder: Path) -> None:
    auto = {"AutoTokenizer": ["foreign.Tokenizer", "foreign.Tokenizer"]}
    change(folder / "tokenizer_config.json", tokenizer_class="Tokenizer", auto_map=auto)


def its_wish(folder: Path) -> None:
    """The network's code, and a configuration that asks for itself to be trusted."""
    its_network(folder)
    trust = {"trust_remote_code": True}
    change(
        folder / "sentence_bert_config.json",
        model_args=trust,
        tokenizer_args=trust,
        config_args=trust,
    )


@pytest.mark.parametrize("names", [its_module, its_network, its_tokenizer, its_wish])
def test_code_beside_the_weights_is_not_run(folder: Path, names: Callable[[Path], None]) -> None:
    """Whatever names it. A model that needs it is refused in one sentence; one that
    does not is loaded without.
    """
    names(folder)
    model = open_model(ModelSettings(name=str(folder), dimensions=128))
    if names is its_tokenizer:
        assert model.encode_documents(["인덱스"]).shape == (1, 128)
    else:
        with pytest.raises(
            ModelUnavailable,
            match="needs code of its own, which vectrue does not run: choose another",
        ):
            model.load()
    assert not (folder.parent / "ran").exists()


class Calls:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._path,)


@pytest.mark.parametrize("form", ["zip", "plain"])
def test_a_pickle_is_not_run(folder: Path, form: str) -> None:
    """Weights in the old format are read as numbers only."""
    (folder / "model.safetensors").unlink()
    content = pickle.dumps({"x": Calls(folder.parent / "ran")}, protocol=2)
    if form == "zip":
        with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3\n")
    else:
        (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ModelUnavailable):
        open_model(ModelSettings(name=str(folder), dimensions=128)).load()
    assert not (folder.parent / "ran").exists()


def test_code_is_neither_fetched_nor_part_of_a_model() -> None:
    """`model pull` leaves it out, wherever it lies; so does the id of a folder."""
    names = [
        "config.json",
        "modeling.py",
        "1_Pooling/config.json",
        "1_Pooling/pooling.py",
        "a/b/c.py",
    ]
    assert needed_files(names) == ["config.json", "1_Pooling/config.json"]


def test_every_loader_is_told_not_to_trust() -> None:
    """`trust_remote_code=False` stands at each call: asked nothing, transformers asks
    the person at the terminal.
    """
    calls = []
    for package in ("schemas", "connectors", "streams", "examples"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _name(node.func) in LOADERS:
                    trust = [one.value for one in node.keywords if one.arg == "trust_remote_code"]
                    calls.append(
                        (str(file), [one.value for one in trust if isinstance(one, ast.Constant)])
                    )
    assert calls
    assert [call for call in calls if call[1] != [False]] == []


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
