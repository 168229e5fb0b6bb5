"""`model.low_memory` and `model.dtype`: what they set, what they leave alone, which
device gets which precision.
"""

from pathlib import Path

import pytest

from connectors.models import describe_model, open_model, placement
from connectors.models.vectors import check_max_tokens
from schemas.errors import ConfigurationError
from schemas.settings.reading import load
from schemas.settings.sections import ModelSettings


def test_low_memory_sets_three_things_together() -> None:
    """Batches of 8, bfloat16 and 512 tokens; without it 32, automatic and the model's
    own limit.
    """
    little, plain = ModelSettings(low_memory=True), ModelSettings()
    assert (little.batch_size, little.dtype, little.max_tokens) == (8, "bfloat16", 512)
    assert (plain.batch_size, plain.dtype, plain.max_tokens) == (32, "auto", None)


def test_what_is_set_by_hand_wins() -> None:
    """Precision and limit that somebody chose stay; so do smaller batches, never larger
    ones.
    """
    chosen = ModelSettings(low_memory=True, batch_size=4, dtype="float32", max_tokens=2048)
    assert (chosen.batch_size, chosen.dtype, chosen.max_tokens) == (4, "float32", 2048)
    assert ModelSettings(low_memory=True, batch_size=64).batch_size == 8


def test_it_works_from_a_file_and_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the settings come from, in whichever order they stand there."""
    file = tmp_path / "vectrue.toml"
    file.write_text("[model]\nbatch_size = 16\nlow_memory = true\n")
    monkeypatch.chdir(tmp_path)
    assert (load(file).model.batch_size, load(file).model.max_tokens) == (8, 512)
    monkeypatch.setenv("VECTRUE_MODEL__LOW_MEMORY", "false")
    assert (load(file).model.batch_size, load(file).model.max_tokens) == (16, None)


def test_another_limit_is_another_id_and_precision_is_not() -> None:
    """bge-m3 cut at 512 tokens makes other vectors of long texts; the bits of bfloat16
    and the batch do not count.
    """
    plain = open_model(ModelSettings()).model_id
    assert open_model(ModelSettings(low_memory=True)).model_id != plain
    assert (
        open_model(ModelSettings(low_memory=True)).model_id
        == open_model(ModelSettings(max_tokens=512)).model_id
    )
    for same in (
        ModelSettings(low_memory=True, max_tokens=8192),
        ModelSettings(dtype="bfloat16", batch_size=8),
    ):
        assert open_model(same).model_id == plain


def test_a_model_that_takes_less_keeps_its_own_limit() -> None:
    """512 is no demand when nobody made it; an explicit limit beyond the model is
    refused as ever.
    """
    assert check_max_tokens(ModelSettings(low_memory=True), 256) == 256
    assert check_max_tokens(ModelSettings(low_memory=True), None) == 512
    with pytest.raises(ConfigurationError, match=r"model\.max_tokens is 512.*at most 256"):
        check_max_tokens(ModelSettings(max_tokens=512), 256)
    little = describe_model(
        ModelSettings(name="multilingual-e5-small", dimensions=384, low_memory=True)
    )
    plain = describe_model(ModelSettings(name="multilingual-e5-small", dimensions=384))
    assert little.model_id == plain.model_id


def test_each_choice_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU `auto` is float32; what was set is taken; bfloat16 where the CPU lacks
    it comes with a warning.
    """
    monkeypatch.setattr(placement, "cpu_has_bfloat16", lambda: True)
    chosen, why = placement.choose_dtype(ModelSettings(), "cpu")
    assert (chosen, "model.dtype is auto" in why) == ("float32", True)
    assert placement.choose_dtype(ModelSettings(dtype="bfloat16"), "cpu") == (
        "bfloat16",
        "model.dtype is bfloat16",
    )
    assert placement.choose_dtype(ModelSettings(low_memory=True), "cpu") == (
        "bfloat16",
        "model.low_memory is true",
    )
    monkeypatch.setattr(placement, "cpu_has_bfloat16", lambda: False)
    assert (
        "set model.dtype = float32"
        in placement.choose_dtype(ModelSettings(low_memory=True), "cpu")[1]
    )
    chosen, why = placement.choose_dtype(ModelSettings(low_memory=True, dtype="float32"), "cpu")
    assert (chosen, why) == ("float32", "model.dtype is float32")


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse2 avx512f amx_bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu sse2 avx512f\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\n", None),
    ],
)
def test_instructions_of_the_cpu(
    text: str, has: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Linux lists them; None where it does not."""
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    monkeypatch.setattr(placement, "_CPUINFO", file)
    assert placement.cpu_has_bfloat16() is has
