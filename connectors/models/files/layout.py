"""What a sentence-transformers model's files say, read without loading the weights.

The files: `modules.json` lists the modules in order, each with a folder; `config.json`
describes the network; `sentence_bert_config.json` the token limit;
`config_sentence_transformers.json` the prompts.

Hazard: a module of an unknown kind may change the dimensions, so then they are unknown
(None) until the model is loaded; they are never guessed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from schemas.errors import ModelUnavailable
from schemas.settings.paths import is_file

# In the repositories of such models, but not read by sentence-transformers on PyTorch:
# exports to other runtimes, pictures, bge-m3's two extra heads (colbert_linear.pt,
# sparse_linear.pt), and code, which is never run.
_NOT_NEEDED = (
    "onnx/*",
    "*.onnx",
    "*.onnx_data",
    "openvino/*",
    "flax_model*",
    "*.msgpack",
    "tf_model*",
    "*.h5",
    "rust_model.ot",
    "*.py",
    "*.ckpt",
    "imgs/*",
    "*.jpg",
    "*.jpeg",
    "*.png",
    "*.gif",
    "*.md",
    "*.pdf",
    "colbert_linear.pt",
    "sparse_linear.pt",
)
_SAME_SIZE = ("Normalize", "Dropout", "LayerNorm")
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """A model as its files describe it.

    `dimensions` and `max_tokens` are None where the files do not say; `modules` are the
    steps from text to vector, as `Transformer`, `Pooling:cls`, `Normalize`; `prompts`
    are the non-empty ones by name.
    """

    dimensions: int | None
    max_tokens: int | None
    modules: tuple[str, ...]
    prompts: dict[str, str] = field(default_factory=dict)

    @property
    def pooling(self) -> str | None:
        """How vectors of tokens become one (`cls`, `mean`); None when no module says."""
        return next(
            (name.split(":", 1)[1] for name in self.modules if name.startswith("Pooling:")), None
        )


def needed_files(names: Sequence[str]) -> list[str]:
    """Keep the files that loading needs, in their order.

    Args:
        names: paths relative to the model's folder, with `/`.

    Returns:
        those without hidden files, other runtimes' exports and pictures; where a folder
        has safetensors weights, the older pickle file with the same weights is left out
        too.
    """
    safe = {PurePosixPath(n).parent for n in names if n.endswith(".safetensors")}

    def needed(name: str) -> bool:
        path = PurePosixPath(name)
        if any(part.startswith((".", "__")) for part in path.parts) or any(
            fnmatch(name, p) for p in _NOT_NEEDED
        ):
            return False
        return not (path.parent in safe and fnmatch(path.name, "pytorch_model*.bin*"))

    return [name for name in names if needed(name)]


def main_folder(folder: Path) -> Path:
    """Where the network itself is: the folder of the first module, which is mostly the
    model's own.
    """
    modules = _modules(folder)
    return folder / (modules[0]["path"] if modules else "")


def weights_present(folder: Path) -> bool:
    """Whether the network's weights are all in the folder: one file, or every file that
    an index lists.

    A download that was interrupted leaves the folder without them, or with links that
    lead nowhere.
    """
    home = main_folder(folder)
    for index in [*home.glob("*.safetensors.index.json"), *home.glob("*.bin.index.json")]:
        return all(
            (home / shard).is_file()
            for shard in set(read_json(index).get("weight_map", {}).values())
        )
    return any(
        file.is_file() for file in [*home.glob("*.safetensors"), *home.glob("pytorch_model*.bin")]
    )


def read_layout(folder: Path) -> Layout:
    """Read a model's folder.

    Raises:
        ModelUnavailable: a file is not the JSON it should be.
    """
    extra = read_json(folder / "config_sentence_transformers.json")
    prompts = {name: text for name, text in (extra.get("prompts") or {}).items() if text}
    if extra.get("default_prompt_name"):
        prompts["default"] = extra["default_prompt_name"]
    listed = _modules(folder)
    dimensions: int | None = None
    names = []
    # Without modules.json sentence-transformers adds mean pooling to the bare network.
    for module in listed or [
        {"path": "", "type": "Transformer"},
        {"path": "pooling", "type": "Pooling"},
    ]:
        name, dimensions = _step(
            module["type"].rsplit(".", 1)[-1], folder / module["path"], dimensions
        )
        names.append(name)
    if extra.get("truncate_dim") and dimensions is not None:
        dimensions = min(dimensions, int(extra["truncate_dim"]))
    return Layout(dimensions, _max_tokens(main_folder(folder)), tuple(names), prompts)


def _step(kind: str, folder: Path, before: int | None) -> tuple[str, int | None]:
    """Name of a module and the dimensions behind it."""
    if kind == "Transformer":
        config = read_json(folder / "config.json")
        size = config.get("hidden_size") or config.get("d_model") or config.get("dim")
        return kind, size
    config = read_json(folder / "config.json")
    if kind == "Pooling":
        modes = _pooling(config)
        width = (
            config.get("embedding_dimension") or config.get("word_embedding_dimension") or before
        )
        return f"Pooling:{'+'.join(modes)}", width * len(modes) if width else None
    if kind == "Dense":
        return kind, config.get("out_features")
    return kind, before if kind in _SAME_SIZE else None


def _pooling(config: dict[str, Any]) -> list[str]:
    mode = config.get("pooling_mode")
    if mode:
        return [mode] if isinstance(mode, str) else list(mode)
    return [name for flag, name in _POOLING_FLAGS.items() if config.get(flag)] or ["mean"]


def _max_tokens(home: Path) -> int | None:
    stated = read_json(home / "sentence_bert_config.json").get("max_seq_length")
    if stated:
        return int(stated)
    tokenizer = read_json(home / "tokenizer_config.json").get("model_max_length")
    positions = read_json(home / "config.json").get("max_position_embeddings")
    # Tokenizers without a limit carry 1e30 there.
    limits = [int(n) for n in (tokenizer, positions) if n and n < 1_000_000]
    return min(limits) if limits else None


def _modules(folder: Path) -> list[dict[str, str]]:
    file = folder / "modules.json"
    modules = _load(file) or []
    if not isinstance(modules, list) or not all(
        isinstance(module, dict)
        and isinstance(module.get("path"), str)
        and isinstance(module.get("type"), str)
        for module in modules
    ):
        raise ModelUnavailable(
            f"the model's file {file} lists no modules", fix="fetch the model again"
        )
    return modules


def read_json(file: Path) -> dict[str, Any]:
    """A file of the model that is a JSON object; empty where there is no such file.

    Raises:
        ModelUnavailable: the file is not JSON.
    """
    content = _load(file) or {}
    if not isinstance(content, dict):
        raise ModelUnavailable(
            f"the model's file {file} is no JSON object", fix="fetch the model again"
        )
    return content


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8")) if is_file(file) else None
    except (ValueError, RecursionError) as error:
        raise ModelUnavailable(
            f"the model's file {file} is not JSON ({error})", fix="fetch the model again"
        ) from error
