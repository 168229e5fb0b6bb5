"""What `embedsync` says without a command."""

from importlib.metadata import version

from typer.testing import CliRunner

from streams.cli.main import app


def test_the_version_is_that_of_the_package() -> None:
    """For bug reports; no settings are read, so it works where they are wrong."""
    said = CliRunner().invoke(app, ["--config", "/nowhere/embedsync.toml", "--version"])
    assert (said.exit_code, said.output) == (0, f"embedsync {version('embedsync')}\n")
