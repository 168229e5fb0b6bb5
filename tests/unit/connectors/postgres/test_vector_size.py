"""How many bytes a vector takes in a table."""

from connectors.postgres.rows.vector_size import stored_bytes, toast_pieces, vector_bytes


def test_the_size_of_a_vector_on_disk() -> None:
    """1,024 numbers take three TOAST pieces, 64 none; provenance comes on top."""
    assert stored_bytes(64) == 4 * 64 + 8 + 120
    assert stored_bytes(1024) == 4 * 1024 + 8 + 3 * 40 + 120


def test_a_wide_row_moves_its_vector_out_of_line() -> None:
    """What counts is the whole row, not the vector alone."""
    assert toast_pieces(64, row_bytes=100) == 0
    assert vector_bytes(64, row_bytes=100) == 4 * 64 + 8
    assert toast_pieces(64, row_bytes=1_900) == 1
