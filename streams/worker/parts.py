"""How a batch is cut, so that no batch is all or nothing against the watchdog's budget.

A batch of long texts may keep a model busy for hours: one text of 8,192 tokens takes 90
s on two cores. So it is done in parts, each written before the next one begins: a part
ends when the model has worked for SECONDS. Short texts, or a fast model, are one part,
as most batches are.

Within a part the model is called with texts of like length, since it computes the
padding as well: beside one text of 8,192 tokens 31 short ones cost as much as 32 long
ones.
"""

from collections.abc import Iterator, Sequence

SECONDS = 1.0
"""After so long a part ends. A write costs a hundredth of it."""

CHARACTERS = 12_288
"""Most characters in a call of the model, each text counted as long as the longest: a
token stands for one or more.

One text of bge-m3's full length, or 48 of 256 characters. Those of 64 ordinary rows
fit, in two or three calls.
"""


def cost(text: str, max_tokens: int | None) -> int:
    """Characters of a text that count.

    Args:
        text: not blank.
        max_tokens: where the model cuts it; None: nowhere.
    """
    return max(1, len(text) if max_tokens is None else min(len(text), max_tokens))


def ends(now: float, until: float, spent: float, done: int, more: int) -> bool:
    """Whether a part ends here: its time is over, or would be if what follows takes as
    long as what went before.

    So short texts need not wait for the long one that comes after them.

    Args:
        now: of a monotonic clock.
        until: the part's end by it.
        spent: seconds that the model took so far.
        done: characters that it took them for.
        more: characters of the next window.
    """
    return now >= until or (done > 0 and now + spent / done * more > until)


def windows(costs: Sequence[int]) -> Iterator[range]:
    """Cut rows, in their order, into runs of no more than CHARACTERS, or of one that is
    longer.

    Args:
        costs: of each row; 0 for one whose text need not be embedded.
    """
    start = total = 0
    for position, own in enumerate(costs):
        if total and own and total + own > CHARACTERS:
            yield range(start, position)
            start, total = position, 0
        total += own
    if start < len(costs):
        yield range(start, len(costs))


def calls(costs: Sequence[int]) -> Iterator[list[int]]:
    """Positions of texts that go to the model together, the shortest first.

    Args:
        costs: of each text, at least 1.
    """
    call: list[int] = []
    for position in sorted(range(len(costs)), key=costs.__getitem__):
        if call and (len(call) + 1) * costs[position] > CHARACTERS:
            yield call
            call = []
        call.append(position)
    if call:
        yield call
