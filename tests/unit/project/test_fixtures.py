"""The tests' own fixtures: no test may change what another one sees."""

from schemas import command
from tests.support.command import left_behind


def test_the_command_of_one_test_is_not_in_the_sentences_of_another() -> None:
    """Tests run in any order and in one process, and advice repeats the typed options."""
    with left_behind():
        command.begin(["--config", "other.toml", "status"])
        assert command.completed("vectrue lag") == "vectrue --config other.toml lag"
    assert command.completed("vectrue lag") == "vectrue lag"
