"""Malformed events, made by hand and by hypothesis, the same ones for the same seed."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Headers = list[tuple[str, str | bytes | None]]
LARGE_KEY_BYTES = 1_048_576 - 600  # the broker takes a batch of 1,048,588 bytes by default, its framing included


@dataclass(frozen=True)
class Event:
    """An event to be written; `no_op` when it is known to need no work and is counted, never dead-lettered."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    no_op: bool = False


def envelope(key: object, **changed: object) -> dict[str, object]:
    """A good event of public.questions, with fields replaced."""
    source = {"schema": "public", "table": "questions", "ts_ms": 1767225600000, "txId": None}
    return {"op": "u", "after": {"id": key}, "source": source, **changed}


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()


def _truncated(r: random.Random) -> Event:
    whole = _dump(envelope(r.randrange(10**6)))
    return Event("truncated JSON", _dump({"id": 1}), whole[: r.randrange(1, len(whole) - 1)], [])


def _other_envelope(r: random.Random) -> Event:
    shapes: list[object] = [
        {"type": "record", "data": {"id": 1}},  # Maxwell
        {"table": "questions", "op_type": "I", "pos": "1", "after": {"id": 1}},  # GoldenGate
        {"specversion": "1.0", "type": "x", "data": {}},
        {"payload": {"id": r.randrange(10**6)}},
        [1, 2, 3],
        "text",
        r.randrange(10**6),
        None,
    ]
    return Event("other envelope", _dump({"id": 1}), _dump(r.choice(shapes)), [])


def _wrong_type(r: random.Random) -> Event:
    wrong: list[object] = ["word", None, [1], {"a": 1}, 1.5, "12x", True, "", " ", "\u0000", "1e3", "\ud800"]
    value = r.choice(wrong)
    return Event("wrong type", _dump({"id": value}), _dump(envelope(value)), [])


def _null_key(r: random.Random) -> Event:
    return Event("null key", None, _dump(envelope(1, after=r.choice([None, {}, {"other": 1}]))), [])


def _tombstone(r: random.Random) -> Event:
    return Event("tombstone", _dump({"id": r.randrange(10**6)}), None, [], no_op=True)


def _huge_number(r: random.Random) -> Event:
    number = r.choice([2**63, -(2**63) - 1, 10**40, 10 ** r.randrange(20, 300), 10**4200, 1e300])
    return Event("huge number", _dump({"id": number}), _dump(envelope(number)), [])


def _unknown_table(r: random.Random) -> Event:
    source = {"schema": r.choice(["public", "other"]), "table": f"unknown_{r.randrange(99)}"}
    return Event("unknown table", _dump({"id": 1}), _dump(envelope(1, source=source)), [])


def _avro(r: random.Random) -> Event:
    return Event("Avro bytes", b"\x00\x00\x00\x00\x07" + r.randbytes(6), b"\x00\x00\x00\x00\x08" + r.randbytes(40), [])


def _headers(r: random.Random) -> Event:
    given: Headers = [("trace", b"1"), ("trace", None), ("trace", r.randbytes(9)), ("__connect.errors.topic", b"x")]
    return Event("duplicate headers", b"k", b"{", given)


HAND_MADE: list[Callable[[random.Random], Event]] = [
    _truncated, _other_envelope, _wrong_type, _null_key, _tombstone, _huge_number, _unknown_table, _avro, _headers,
]  # fmt: skip


def events(count: int, *, seed_: int) -> Iterator[Event]:
    """`count` malformed events: eight with keys of 1 MB, a third made by hypothesis, the rest by hand."""
    r = random.Random(seed_)
    large = [Event("1 MB key", r.randbytes(LARGE_KEY_BYTES), b"{", []) for _ in range(8)]
    found = _by_hypothesis(count // 3, seed_)
    made = [r.choice(HAND_MADE)(r) for _ in range(count - len(large) - len(found))]
    mixed = [*large, *found, *made]
    r.shuffle(mixed)
    yield from mixed


def _by_hypothesis(count: int, seed_: int) -> list[Event]:
    found: list[Event] = []
    plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    tree = st.recursive(plain, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=6), t, max_size=3))
    nearly = st.fixed_dictionaries({"op": plain, "source": tree, "after": tree})
    data = st.binary(max_size=64) | (tree | nearly).map(lambda t: json.dumps(t).encode())

    @seed(seed_)
    @settings(
        max_examples=count // 20 + 1, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(st.tuples(st.none() | data, data), min_size=20, max_size=20))
    def draw(pairs: list[tuple[bytes | None, bytes]]) -> None:
        found.extend(Event("hypothesis", key, value, []) for key, value in pairs)

    draw()
    return found[:count]
