"""The tests' own fixtures: no test may change what another one sees."""

from schemas import command
from tests.support.command import process_of_its_own


def test_the_command_of_one_test_is_not_in_the_sentences_of_another() -> None:
    """Tests run in any order and in one process, and advice repeats the typed options."""
    with process_of_its_own():
        command.begin(["--config", "other.toml", "status"])
        assert command.completed("vectrue lag") == "vectrue --config other.toml lag"
    assert command.completed("vectrue lag") == "vectrue lag"
