"""What `vectrue` says without a command."""

import sys
from importlib.abc import MetaPathFinder
from importlib.metadata import version
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from streams.cli import entry
from streams.cli.main import app


def test_the_version_is_that_of_the_package() -> None:
    """For bug reports; no settings are read, so it works where they are wrong."""
    said = CliRunner().invoke(app, ["--config", "/nowhere/vectrue.toml", "--version"])
    assert (said.exit_code, said.output) == (0, f"vectrue {version('vectrue')}\n")


def test_a_command_without_settings_logs_like_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From info up, and on stderr: stdout is the report's."""
    app(["local", "status", "--dir", str(tmp_path / "none")], standalone_mode=False)
    capsys.readouterr()
    log = structlog.get_logger()
    log.debug("a detail")
    log.info("an event")
    said = capsys.readouterr()
    assert said.out == ""
    assert "an event" in said.err
    assert "a detail" not in said.err


class _Slow(MetaPathFinder):
    """Ctrl-C comes while the program is read from disk."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "streams.cli.main":
            raise KeyboardInterrupt


def test_ctrl_c_while_the_program_is_read_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is that of every interrupted command."""
    monkeypatch.delitem(sys.modules, "streams.cli.main")
    monkeypatch.setattr(sys, "meta_path", [_Slow(), *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        entry.run()
    assert (end.value.code, capsys.readouterr().err) == (130, "interrupted\n")
