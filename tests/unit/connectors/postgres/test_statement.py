"""The script that `init --print-sql` prints."""

from connectors.postgres.statement import Statement, script


def test_nothing_to_do_is_said() -> None:
    """A script without statements holds comments alone, so that running it changes
    nothing.
    """
    text = script([], lock_seconds=2, heading="what\nfor")
    assert text.splitlines() == ["-- what", "-- for", "", "-- nothing to do"]


def test_each_statement_is_a_transaction_under_lock_timeout() -> None:
    """A statement printed for a DBA waits no longer for a lock than one that is run."""
    text = script(
        [Statement("one", "SELECT 1"), Statement("slow", "SELECT 2", 60)],
        lock_seconds=1.5,
        heading="h",
    )
    assert "BEGIN;\nSET LOCAL lock_timeout = '1500ms';\nSELECT 1\n;\nCOMMIT;" in text
    assert "BEGIN;\nSET LOCAL lock_timeout = '60000ms';\nSELECT 2\n;\nCOMMIT;" in text


def test_a_line_break_in_a_table_name_stays_in_the_comment() -> None:
    """No name of a table can leave the comment it is named in."""
    text = script(
        [Statement("add to a\nDROP TABLE x; --", "SELECT 1")], lock_seconds=1, heading="h"
    )
    assert not [line for line in text.splitlines() if line.startswith("DROP")]


def test_a_statement_may_end_in_a_comment() -> None:
    """The semicolon is no part of a comment at the end of an operator's expression."""
    assert "SELECT 1 -- last\n;\n" in script(
        [Statement("s", "SELECT 1 -- last")], lock_seconds=1, heading="h"
    )
