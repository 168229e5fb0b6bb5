"""What a sentence-transformers model's files say, read without loading the weights.

The files: `modules.json` lists the modules in order, each with a folder; `config.json`
describes the network; `sentence_bert_config.json` the token limit;
`config_sentence_transformers.json` the prompts.

Hazard: a module of an unknown kind may change the dimensions. Then they are unknown
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
# Without modules.json sentence-transformers adds mean pooling to the bare network.
_BARE_NETWORK = (
    {"path": "", "type": "Transformer"},
    {"path": "pooling", "type": "Pooling"},
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
        """How vectors of tokens become one (`cls`, `mean`); None if no module says."""
        for name in self.modules:
            if name.startswith("Pooling:"):
                return name.removeprefix("Pooling:")
        return None


def files_below(folder: Path) -> list[str]:
    """List the files in a folder and below, as paths relative to it, with `/`."""
    paths = folder.rglob("*")
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]


def needed_files(names: Sequence[str]) -> list[str]:
    """Keep the files that loading needs, in their order.

    Args:
        names: paths relative to the model's folder, with `/`.

    Returns:
        those without hidden files, other runtimes' exports and pictures. If a folder
        has safetensors weights, the older pickle with the same weights is left out too.
    """
    safe = set()
    for name in names:
        if name.endswith(".safetensors"):
            safe.add(PurePosixPath(name).parent)
    needed = []
    for name in names:
        path = PurePosixPath(name)
        pickled = fnmatch(path.name, "pytorch_model*.bin*")
        if not (_is_left_out(name) or (pickled and path.parent in safe)):
            needed.append(name)
    return needed


def _is_left_out(name: str) -> bool:
    for part in PurePosixPath(name).parts:
        if part.startswith((".", "__")):
            return True
    return any(fnmatch(name, pattern) for pattern in _NOT_NEEDED)


def main_folder(folder: Path) -> Path:
    """Folder of the network itself: that of the first module, mostly the model's own."""
    modules = _modules(folder)
    return folder / (modules[0]["path"] if modules else "")


def weights_present(folder: Path) -> bool:
    """Return whether all weights of the network are in the folder: one file, or every
    file that an index lists.

    An interrupted download leaves the folder without them, or with links that lead
    nowhere.
    """
    home = main_folder(folder)
    # The first index decides, since transformers prefers safetensors to pickles.
    for index in (
        *home.glob("*.safetensors.index.json"),
        *home.glob("*.bin.index.json"),
    ):
        shards = set(read_json(index).get("weight_map", {}).values())
        return all((home / shard).is_file() for shard in shards)
    files = [*home.glob("*.safetensors"), *home.glob("pytorch_model*.bin")]
    return any(file.is_file() for file in files)


def read_layout(folder: Path) -> Layout:
    """Read a model's folder.

    Raises:
        ModelUnavailable: a file is not the JSON it should be.
    """
    extra = read_json(folder / "config_sentence_transformers.json")
    prompts = {}
    for name, text in (extra.get("prompts") or {}).items():
        if text:
            prompts[name] = text
    if extra.get("default_prompt_name"):
        prompts["default"] = extra["default_prompt_name"]
    dimensions: int | None = None
    names = []
    for module in _modules(folder) or _BARE_NETWORK:
        kind = module["type"].rsplit(".", 1)[-1]
        name, dimensions = _step(kind, folder / module["path"], dimensions)
        names.append(name)
    if extra.get("truncate_dim") and dimensions is not None:
        dimensions = min(dimensions, int(extra["truncate_dim"]))
    return Layout(dimensions, _max_tokens(main_folder(folder)), tuple(names), prompts)


def _step(kind: str, folder: Path, before: int | None) -> tuple[str, int | None]:
    """Return the name of a module, and the dimensions of its output."""
    config = read_json(folder / "config.json")
    if kind == "Transformer":
        size = config.get("hidden_size") or config.get("d_model") or config.get("dim")
        return kind, size
    if kind == "Pooling":
        modes = _pooling(config)
        stated = config.get("embedding_dimension")
        width = stated or config.get("word_embedding_dimension") or before
        # Several modes are concatenated.
        return f"Pooling:{'+'.join(modes)}", width * len(modes) if width else None
    if kind == "Dense":
        return kind, config.get("out_features")
    return kind, before if kind in _SAME_SIZE else None


def _pooling(config: dict[str, Any]) -> list[str]:
    mode = config.get("pooling_mode")
    if mode:
        return [mode] if isinstance(mode, str) else list(mode)
    modes = []
    for flag, name in _POOLING_FLAGS.items():
        if config.get(flag):
            modes.append(name)
    return modes or ["mean"]


def _max_tokens(home: Path) -> int | None:
    stated = read_json(home / "sentence_bert_config.json").get("max_seq_length")
    if stated:
        return int(stated)
    tokenizer = read_json(home / "tokenizer_config.json").get("model_max_length")
    positions = read_json(home / "config.json").get("max_position_embeddings")
    limits = []
    for limit in (tokenizer, positions):
        # A tokenizer without a limit states 1e30.
        if limit and limit < 1_000_000:
            limits.append(int(limit))
    return min(limits, default=None)


def _modules(folder: Path) -> list[dict[str, str]]:
    file = folder / "modules.json"
    modules = _load(file) or []
    if not isinstance(modules, list) or not all(_is_module(one) for one in modules):
        raise ModelUnavailable(
            f"the model's file {file} lists no modules", fix="fetch the model again"
        )
    return modules


def _is_module(listed: object) -> bool:
    return (
        isinstance(listed, dict)
        and isinstance(listed.get("path"), str)
        and isinstance(listed.get("type"), str)
    )


def read_json(file: Path) -> dict[str, Any]:
    """Read a file of the model that is a JSON object; empty if there is no such file.

    Raises:
        ModelUnavailable: the file is not JSON.
    """
    content = _load(file) or {}
    if not isinstance(content, dict):
        raise ModelUnavailable(
            f"the model's file {file} is not a JSON object", fix="fetch the model again"
        )
    return content


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8")) if is_file(file) else None
    except (ValueError, RecursionError) as error:
        raise ModelUnavailable(
            f"the model's file {file} is not JSON ({error})", fix="fetch the model again"
        ) from error
