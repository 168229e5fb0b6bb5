"""What is known about a model from its files alone, and which files those are."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.models.files.fingerprint import folder_digest, model_id
from connectors.models.files.hub import KNOWN
from connectors.models.files.layout import Layout, needed_files, read_layout, weights_present
from schemas.errors import ModelUnavailable

_OLD = "sentence_transformers.models."
_NEW = "sentence_transformers.sentence_transformer.modules.pooling."
BGE_M3_REPOSITORY = [
    ".gitattributes",
    "1_Pooling/config.json",
    "README.md",
    "colbert_linear.pt",
    "config.json",
    "config_sentence_transformers.json",
    "imgs/bm25.jpg",
    "long.jpg",
    "modules.json",
    "onnx/Constant_7_attr__value",
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "onnx/tokenizer.json",
    "pytorch_model.bin",
    "sentence_bert_config.json",
    "sentencepiece.bpe.model",
    "sparse_linear.pt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
]


def _folder(root: Path, modules: list[tuple[str, str, dict[str, Any]]], **files: object) -> Path:
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (kind, path, _) in enumerate(modules)
    ]
    contents = {path: config for _, path, config in modules if config}
    for path, config in contents.items():
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name, content in {"modules": listed, **files}.items():
        (root / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def test_the_layout_of_bge_m3(tmp_path: Path) -> None:
    """Network, first token's vector, unit length: dimensions and limit are read, no
    prompts.
    """
    folder = _folder(
        tmp_path,
        [
            (_OLD + "Transformer", "", {"hidden_size": 1024, "max_position_embeddings": 8194}),
            (
                _OLD + "Pooling",
                "1_Pooling",
                {"word_embedding_dimension": 1024, "pooling_mode_cls_token": True},
            ),
            (_OLD + "Normalize", "2_Normalize", {}),
        ],
        sentence_bert_config={"max_seq_length": 8192},
        config_sentence_transformers={"__version__": {}},
    )
    assert read_layout(folder) == Layout(
        1024, 8192, ("Transformer", "Pooling:cls", "Normalize"), {}
    )
    # so its id does not depend on where the layout came from
    assert read_layout(folder) == KNOWN["BAAI/bge-m3"].layout


def test_two_poolings_double_the_vector(tmp_path: Path) -> None:
    """Several pooling modes are put side by side; the newer spelling of the files is
    read too.
    """
    folder = _folder(
        tmp_path,
        [
            (_OLD + "Transformer", "net", {"hidden_size": 10}),
            (
                _NEW + "Pooling",
                "pool",
                {"embedding_dimension": 10, "pooling_mode": ["cls", "mean"]},
            ),
        ],
    )
    assert read_layout(folder) == Layout(20, None, ("Transformer", "Pooling:cls+mean"), {})


def test_a_dense_layer_sets_the_dimensions(tmp_path: Path) -> None:
    """The last layer counts, and a truncation behind it."""
    modules: list[tuple[str, str, dict[str, Any]]] = [
        (_OLD + "Transformer", "", {"hidden_size": 768}),
        (_OLD + "Pooling", "1", {"word_embedding_dimension": 768}),
        (_OLD + "Dense", "2", {"in_features": 768, "out_features": 512}),
    ]
    assert read_layout(_folder(tmp_path / "a", modules)).dimensions == 512
    cut = _folder(tmp_path / "b", modules, config_sentence_transformers={"truncate_dim": 256})
    assert read_layout(cut).dimensions == 256


def test_unknown_modules_are_not_guessed(tmp_path: Path) -> None:
    """Behind a module of an unknown kind the dimensions are unknown."""
    folder = _folder(
        tmp_path,
        [(_OLD + "Transformer", "", {"hidden_size": 768}), ("somebody.else.Mixer", "1", {})],
    )
    assert read_layout(folder).dimensions is None


def test_a_bare_network_gets_mean_pooling(tmp_path: Path) -> None:
    """A folder without modules.json is read as sentence-transformers reads it; the
    smaller limit counts.
    """
    (tmp_path / "config.json").write_text(
        json.dumps({"hidden_size": 64, "max_position_embeddings": 514})
    )
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512}))
    assert read_layout(tmp_path) == Layout(64, 512, ("Transformer", "Pooling:mean"), {})
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": int(1e30)}))
    assert read_layout(tmp_path).max_tokens == 514


def test_prompts_and_the_default_one(tmp_path: Path) -> None:
    """Empty prompts are none; the one used by default counts as well."""
    extra = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"}
    folder = _folder(tmp_path, [], config_sentence_transformers=extra)
    assert read_layout(folder).prompts == {"query": "query: ", "default": "query"}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """A file that is not JSON is one sentence."""
    (tmp_path / "modules.json").write_text("[")
    with pytest.raises(ModelUnavailable, match=r"modules\.json is not JSON"):
        read_layout(tmp_path)


def test_files_of_bge_m3_that_are_needed() -> None:
    """Of the repository's 20 files 10 are needed: 2.3 GB instead of 4.6."""
    assert needed_files(BGE_M3_REPOSITORY) == [
        "1_Pooling/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "modules.json",
        "pytorch_model.bin",
        "sentence_bert_config.json",
        "sentencepiece.bpe.model",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_one_format_of_weights_is_enough() -> None:
    """Where safetensors are, the pickle in the same folder is left out; another
    folder's pickle is not.
    """
    names = [
        "model.safetensors",
        "pytorch_model.bin",
        "2_Dense/pytorch_model.bin",
        "tokenizer.json",
    ]
    assert needed_files(names) == [
        "model.safetensors",
        "2_Dense/pytorch_model.bin",
        "tokenizer.json",
    ]


def test_half_a_download_is_no_model(tmp_path: Path) -> None:
    """Weights count as present only when every file is there, and not when a link leads
    nowhere.
    """
    assert not weights_present(tmp_path)
    (tmp_path / "pytorch_model.bin").symlink_to(tmp_path / "gone")
    assert not weights_present(tmp_path)
    (tmp_path / "gone").touch()
    assert weights_present(tmp_path)
    shards = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(shards))
    (tmp_path / "one.safetensors").touch()
    assert not weights_present(tmp_path)
    (tmp_path / "two.safetensors").touch()
    assert weights_present(tmp_path)


def test_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    """Content and names count; the place, the time and files that loading does not read
    do not.
    """
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "config.json").write_text("{}")
        (tmp_path / place / "model.safetensors").write_bytes(b"12")
    one = folder_digest(tmp_path / "a")
    (tmp_path / "b" / "README.md").write_text("hello")
    assert folder_digest(tmp_path / "b") == one
    (tmp_path / "b" / "model.safetensors").write_bytes(b"123")
    changed = folder_digest(tmp_path / "b")
    assert changed != one
    (tmp_path / "b" / "model.safetensors").rename(tmp_path / "b" / "other.safetensors")
    assert folder_digest(tmp_path / "b") not in (one, changed)


def test_the_id_of_a_model() -> None:
    """The format is fixed, since it is stored beside every vector: a changed hash makes
    all of them stale.
    """
    assert (
        model_id("org/name", "0123456789abcdef", {"dimensions": 3}) == "org/name@0123456+1a0008a8"
    )
    assert model_id("n", "1", {"a": 1, "b": 2}) == model_id("n", "1", {"b": 2, "a": 1})
    assert model_id("n", "1", {"a": 1}) != model_id("n", "1", {"a": 2})
    assert model_id("n", "12345678", {}) != model_id("n", "12345679", {})
