"""How a batch is cut into parts, and a part into calls of the model.

A batch of long texts may keep a model busy for hours: one text of 8,192 tokens takes 90
s on two cores. So it is done in parts, each written before the next one begins, and
each within the watchdog's budget. A part ends when the model has worked for SECONDS.
Short texts, or a fast model, are one part, as most batches are.

Within a part the model is called with texts of similar length, since it computes the
padding too.

Hazard: beside one text of 8,192 tokens, 31 short ones cost as much as 31 long ones.
"""

from collections.abc import Iterator, Sequence

SECONDS = 1.0
"""Length of a part. A write takes a hundredth of it."""

CHARACTERS = 12_288
"""Most characters in a call of the model, each text counted as long as the longest; a
token stands for one or more.

One text of bge-m3's full length, or 48 texts of 256 characters. The texts of 64
ordinary rows take two or three calls.
"""


def cost(text: str, max_tokens: int | None) -> int:
    """Return the characters of a text that count: at least 1.

    Args:
        text: not blank.
        max_tokens: where the model cuts it; None: nowhere.
    """
    characters = len(text)
    if max_tokens is not None:
        characters = min(characters, max_tokens)
    return max(1, characters)


def ends(now: float, until: float, spent: float, done: int, more: int) -> bool:
    """Whether a part ends here: its time is over, or will be before the next window is
    done, at the speed so far.

    So short texts do not wait for the long one after them.

    Args:
        now: of a monotonic clock.
        until: when the part ends, by the same clock.
        spent: seconds that the model has worked.
        done: characters that it has read in them.
        more: characters of the next window.
    """
    return now >= until or (done > 0 and now + spent / done * more > until)


def windows(costs: Sequence[int]) -> Iterator[range]:
    """Cut rows, in their order, into windows of at most CHARACTERS, or of one text that
    is longer.

    Args:
        costs: of each row; 0 for one whose text need not be embedded.

    Yields:
        positions of the rows of a window.
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
    """Cut texts into calls of the model, the shortest first.

    Args:
        costs: of each text, at least 1.

    Yields:
        positions of the texts of a call.
    """
    call: list[int] = []
    for position in sorted(range(len(costs)), key=costs.__getitem__):
        if call and (len(call) + 1) * costs[position] > CHARACTERS:
            yield call
            call = []
        call.append(position)
    if call:
        yield call
