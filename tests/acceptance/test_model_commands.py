"""`vectrue model info` and `check`, and the example's script, as a person runs them,
with real models.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models import build_xlm_roberta, minilm_folder

VECTRUE = str(Path(sys.executable).with_name("vectrue"))
SIMPLE = [sys.executable, "-m", "examples.interview.bge_m3_simple"]


def run(*command: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "VECTRUE_LOG__LEVEL": "warning", **environment},
        text=True,
        capture_output=True,
        timeout=250,
        check=False,
    )


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of bge-m3's shape and width, with two of its 24 layers."""
    return build_xlm_roberta(
        tmp_path_factory.mktemp("models") / "shape", hidden=1024, max_tokens=8192
    )


def test_the_script_of_the_guide_at_bge_m3s_width(shape: Path, tmp_path: Path) -> None:
    """The guide's sections: load with its time, model, dimensions, languages; shape (3,
    1024); similarities.
    """
    done = run(*SIMPLE, cwd=tmp_path, VECTRUE_MODEL__NAME=str(shape))
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "✅ 모델 로드 완료! (",
        f"📦 모델: {shape}",
        "📊 임베딩 차원: 1024",
        "🌍 지원 언어: -",
        "✅ 3개 텍스트 임베딩 완료",
        "임베딩 shape: (3, 1024)",
        "🔎 검색 쿼리: '파이썬 멀티스레딩 제약사항'",
        "1. 유사도: 0.",
        "내용: ",
    ):
        assert line in done.stdout


def test_the_script_with_a_model_that_knows_korean(tmp_path: Path) -> None:
    """The text about the GIL comes first for a query that asks for it in other words."""
    done = run(*SIMPLE, "multilingual-e5-small", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "임베딩 shape: (3, 384)" in done.stdout
    first = done.stdout.partition("1. 유사도: ")[2].splitlines()
    assert float(first[0]) > 0.8
    assert "Python의 GIL" in first[1]


def test_the_script_without_the_weights(tmp_path: Path) -> None:
    """One sentence with the command that fetches them, exit 78."""
    done = run(*SIMPLE, cwd=tmp_path, HF_HOME=str(tmp_path))
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    assert "run `vectrue model pull`" in done.stderr


def test_check_prints_what_it_measured(tmp_path: Path) -> None:
    """Seconds, dimensions, shape, similarities to four digits, peak memory; the same as
    JSON.
    """
    done = run(VECTRUE, "model", "check", "multilingual-e5-small", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in (
        "loaded        in ",
        "dimensions    384",
        "shape         (3, 384)",
        "peak memory   ",
        "verdict       ok",
    ):
        assert word in done.stdout
    report = json.loads(
        run(VECTRUE, "model", "check", str(minilm_folder()), "-o", "json", cwd=tmp_path).stdout
    )
    assert (report["ok"], report["shape"], report["dtype"]) == (True, [3, 384], "float32")
    assert report["peak_bytes"] > 100_000_000
    assert len(report["hits"]) == 3


def test_check_of_weights_that_are_broken(tmp_path: Path) -> None:
    """A model whose files load, but whose vectors are not numbers, ends with exit 1 and
    the reason.
    """
    import torch
    from safetensors.torch import load_file, save_file

    folder = build_xlm_roberta(tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"][:] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    done = run(VECTRUE, "model", "check", str(folder), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "is not finite" in done.stdout
    assert "these vectors cannot be trusted" in done.stdout


def test_info_of_the_default_before_it_is_fetched(tmp_path: Path) -> None:
    """Everything that can be known of 2.3 GB before they are here, and how they would
    run.
    """
    report = json.loads(
        run(
            VECTRUE,
            "model",
            "info",
            "-o",
            "json",
            cwd=tmp_path,
            HF_HOME=str(tmp_path),
            VECTRUE_MODEL__DEVICE="cpu",
        ).stdout
    )
    assert (report["dimensions"], report["max_tokens"], report["present"]) == (1024, 8192, False)
    assert report["size_bytes"] == 2_271_019_008
    assert (report["device"], report["dtype"]) == ("cpu", "float32")
    assert "model.device is cpu" in report["device_why"]
    assert "vectrue model pull" in report["problem"]
