"""Visibility of transactions."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.rows.snapshot import Snapshot

EPOCH = 1 << 32


def test_a_transaction_in_progress_is_not_seen() -> None:
    """Below xmin everything is finished; running ids and those from xmax on are not
    visible.
    """
    snapshot = Snapshot.parse("100:105:101,103")
    assert [snapshot.sees(xid) for xid in (99, 100, 101, 102, 103, 104, 105, 106)] == [
        True,
        True,
        False,
        True,
        False,
        True,
        False,
        False,
    ]


def test_a_quiet_server_has_an_empty_list() -> None:
    """`3376:3376:` is what an idle server answers: 3376 and later are not visible, 3375
    is.
    """
    snapshot = Snapshot.parse("3376:3376:")
    assert (snapshot.sees(3375), snapshot.sees(3376), snapshot.sees(3377)) == (True, False, False)


def test_an_id_before_the_wrap_is_old_and_one_after_it_is_new() -> None:
    """Ids are extended to the nearest epoch on both sides of a wrap of the 32-bit
    counter.
    """
    after_wrap = Snapshot(EPOCH + 5, EPOCH + 5, frozenset())
    assert after_wrap.sees(EPOCH - 1)
    assert not after_wrap.sees(7)
    before_wrap = Snapshot(EPOCH - 3, EPOCH - 3, frozenset())
    assert not before_wrap.sees(2)
    assert before_wrap.sees(EPOCH - 10)


@given(
    st.integers(min_value=3, max_value=1 << 62),
    st.integers(min_value=-(1 << 31) + 1, max_value=(1 << 31) - 1),
)
def test_extension_undoes_truncation(xmax: int, distance: int) -> None:
    """A 64-bit id within 2^31 of xmax is found again from its low 32 bits."""
    full = xmax + distance
    if full >= 0:
        assert Snapshot(xmax, xmax, frozenset()).extend(full % EPOCH) == full
