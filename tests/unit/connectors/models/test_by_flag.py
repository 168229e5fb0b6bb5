"""What is wrong with a model that flags name is said of the flags; a misspelt built-in
name is suspected.
"""

from pathlib import Path

import pytest

from connectors.models import by_flag, describe_model, open_model
from connectors.models.files import misspelt
from schemas.errors import ConfigurationError, ModelUnavailable, TargetMismatch
from schemas.settings.sections import ModelSettings


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty hub cache."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "dimensions", "said", "fix"),
    [
        (
            "multilingual-e5-small",
            96,
            "--dimensions is 96",
            "give --dimensions 384, or choose another --model",
        ),
        (
            "BAAI/bge-m3",
            96,
            "--dimensions is 96",
            "give --dimensions 1024, or choose another --model",
        ),
        (
            "lexical@1",
            96,
            "--model is lexical@1, which is neither",
            "correct --model, to lexical perhaps",
        ),
        ("a b/c", 96, "--model is a b/c, which is neither", "correct --model"),
        ("/nowhere/model", 96, "there is no folder /nowhere/model (--model)", "correct --model"),
    ],
)
def test_an_error_names_the_flag(name: str, dimensions: int, said: str, fix: str) -> None:
    """The settings are right, and nobody is sent to change them."""
    model = ModelSettings(name=name, dimensions=dimensions)
    with pytest.raises(ConfigurationError) as refused:
        by_flag.opened(model)
    assert refused.value.message.startswith(said)
    assert refused.value.fix == fix
    with pytest.raises(ConfigurationError) as refused:
        str(open_model(model).model_id)
    assert "model." in str(refused.value)


def test_a_model_that_is_not_here_is_pulled_by_its_name() -> None:
    """Not the configured one; and what looks like a built-in name is asked about first."""
    with pytest.raises(ModelUnavailable) as missing:
        by_flag.opened(ModelSettings(name="acme/embedder", revision="v 1", dimensions=96))
    assert missing.value.fix == "run `vectrue model pull acme/embedder --revision 'v 1'`"
    with pytest.raises(ModelUnavailable) as missing:
        by_flag.opened(ModelSettings(name="lexcal", dimensions=96))
    assert (
        missing.value.fix
        == "correct --model, if lexical was meant; else run `vectrue model pull lexcal`"
    )
    with pytest.raises(ModelUnavailable, match="model pull BAAI/bge-m3"):
        by_flag.require(ModelSettings())
    assert describe_model(ModelSettings(name="lexcal")).fix == (
        "correct model.name, if lexical was meant; else run `vectrue model pull`"
    )


def test_what_is_right_is_opened() -> None:
    """With its id, though the weights of a known model are not here."""
    assert by_flag.opened(ModelSettings(name="lexical", dimensions=96)).model_id.startswith(
        "lexical@1+"
    )
    assert by_flag.opened(ModelSettings()).dimensions == 1024
    with pytest.raises(TargetMismatch):
        by_flag.opened(ModelSettings(dimensions=2))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lexcal", "lexical"),
        ("Lexical", "lexical"),
        ("lexical@1+14727ca3", "lexical"),
        ("sentence-transformers/lexcal", "lexical"),
        ("multilingual-e5-smal", "multilingual-e5-small"),
        ("bge-m3", "BAAI/bge-m3"),
        ("BAAI/bge-m", "BAAI/bge-m3"),
        ("lexical", None),
        ("BAAI/bge-m3", None),
        ("BAAI/bge-base", None),
        ("BAAI/bge-m3-retromae", None),
        ("multilingual-e5-large", None),
        ("intfloat/multilingual-e5-small", None),
        ("all-MiniLM-L6-v2", None),
        ("acme/lexical", None),
    ],
)
def test_a_name_a_letter_off_is_suspected(name: str, meant: str | None) -> None:
    """Names of others, which are nothing misspelt, are not."""
    assert misspelt.meant(name) == meant
