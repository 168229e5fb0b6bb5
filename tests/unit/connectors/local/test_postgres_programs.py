"""Which PostgreSQL a stack runs, what it is told, and what a stack refuses."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.clock import SystemClock
from connectors.local.machine import properties, versions
from connectors.local.machine.parts import StackContext
from connectors.local.machine.state import StackState, StateFile
from connectors.local.services.postgres import Postgres
from connectors.local.services.postgres_programs import DEFAULT, Programs, choose
from connectors.local.stack import LocalStack
from schemas.errors import ConfigurationError


def _installation(folder: Path, version: str) -> Path:
    """A folder whose `postgres` only says its version."""
    (folder / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n", encoding="ascii")
        program.chmod(0o755)
    return folder


def _part(directory: Path, chosen: str | None) -> Postgres:
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    state = replace(StackState.new(), postgres=chosen)
    state_file = StateFile(directory / "stack.json")
    return Postgres(StackContext(directory, state, state_file, SystemClock(), lambda: None))


def test_without_a_choice_the_newest_bundled_one_runs() -> None:
    """Its version is the one that the documents name."""
    assert choose(None) == choose(DEFAULT) == Programs()
    assert Programs().version.startswith(versions.POSTGRES)
    assert Programs().major == int(DEFAULT)
    assert choose("16").folder != choose("18").folder


def test_an_installation_of_the_machine_is_used_as_it_is(tmp_path: Path) -> None:
    """Its version is asked of it, also where a distribution appends its own."""
    folder = _installation(tmp_path / "pg", "17.5 (Debian 17.5-1)")
    chosen = choose(str(folder))
    assert [chosen.version, chosen.major, chosen.folder] == ["17.5", 17, folder / "bin"]
    assert chosen.reachable(tmp_path, None) == folder / "bin"
    assert choose(str(_installation(tmp_path / "beta", "19beta1"))).major == 19


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """A version that is not bundled, a folder without PostgreSQL, and a program that is
    something else.
    """
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 17 is not in .* 16 and 18 are"):
        choose("17")
    with pytest.raises(ConfigurationError, match="there is no bin/postgres in"):
        choose(str(tmp_path))
    folder = _installation(tmp_path / "pg", "of another kind")
    with pytest.raises(ConfigurationError, match="does not say its version"):
        _ = choose(str(folder)).major


def test_an_older_server_is_not_told_what_it_does_not_know(tmp_path: Path) -> None:
    """No setting of PostgreSQL 18 goes to 17, no collation provider of 17 to 16."""
    assert properties.postgres(18) == properties.POSTGRES
    left_out = properties.POSTGRES.keys() - properties.postgres(17).keys()
    assert left_out == {"max_active_replication_origins"}
    provider = {}
    for major in (16, 17):
        part = _part(
            tmp_path / str(major), str(_installation(tmp_path / f"pg{major}", f"{major}.1"))
        )
        provider[major] = any("builtin" in argument for argument in part._collation())
    assert provider == {16: False, 17: True}


def test_data_of_another_major_version_is_refused(tmp_path: Path) -> None:
    """Before anything is started, with both versions and the way out."""
    part = _part(tmp_path, str(_installation(tmp_path / "pg", "17.5")))
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n", encoding="ascii")
    with pytest.raises(
        ConfigurationError, match=r"of PostgreSQL 16, and .* has PostgreSQL 17"
    ) as no:
        part.prepare()
    assert "vectrue local reset --dir" in (no.value.fix or "")


def test_a_stack_stays_with_its_postgres(tmp_path: Path) -> None:
    """Asked for another one, `up` starts nothing; asked for the same one or for none,
    it has nothing against it. A stack of before the choice runs the default.
    """
    stack = LocalStack(tmp_path)
    state_file = StateFile(tmp_path / "stack.json")
    state_file.write(replace(StackState.new(), postgres="16"))
    with pytest.raises(ConfigurationError, match="runs PostgreSQL 16, and a stack stays"):
        stack.up(postgres="18")
    state = state_file.read()
    assert state is not None
    stack._require_postgres(state, "16")
    stack._require_postgres(state, None)
    stack._require_postgres(replace(state, postgres=None), DEFAULT)
