"""How a page of keys is dealt out to chunks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.messages.chunk import deal


@given(st.integers(0, 300), st.integers(1, 40))
def test_every_key_is_in_one_chunk_and_neighbours_are_in_different_ones(
    count: int, size: int
) -> None:
    """No chunk is too large, none is nearly empty, and rows of one page of the table
    are written at different times.
    """
    keys = [(str(number),) for number in range(count)]
    chunks = deal(keys, size)
    assert sorted((key for chunk in chunks for key in chunk), key=lambda key: int(key[0])) == keys
    lengths = [len(chunk) for chunk in chunks]
    assert max(lengths, default=0) <= size
    assert max(lengths, default=0) - min(lengths, default=0) <= 1
    holders = {key: number for number, chunk in enumerate(chunks) for key in chunk}
    assert len(chunks) < 2 or all(holders[a] != holders[b] for a, b in pairwise(keys))
