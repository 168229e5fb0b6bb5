"""Malformed records for every topic that is read, made by hand and by hypothesis, the
same ones for the same seed.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Headers = list[tuple[str, str | bytes | None]]
# the broker takes a batch of 1,048,588 bytes by default, its framing included
LARGE_KEY_BYTES = 1_048_576 - 600


@dataclass(frozen=True)
class Event:
    """An event to be written; `no_op` when it is known to need no work and is counted,
    never dead-lettered.
    """

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
        # GoldenGate
        {"table": "questions", "op_type": "I", "pos": "1", "after": {"id": 1}},
        {"specversion": "1.0", "type": "x", "data": {}},
        {"payload": {"id": r.randrange(10**6)}},
        [1, 2, 3],
        "text",
        r.randrange(10**6),
        None,
    ]
    return Event("other envelope", _dump({"id": 1}), _dump(r.choice(shapes)), [])


def _wrong_type(r: random.Random) -> Event:
    wrong: list[object] = [
        "word",
        None,
        [1],
        {"a": 1},
        1.5,
        "12x",
        True,
        "",
        " ",
        "\u0000",
        "1e3",
        "\ud800",
    ]
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
    return Event(
        "Avro bytes",
        b"\x00\x00\x00\x00\x07" + r.randbytes(6),
        b"\x00\x00\x00\x00\x08" + r.randbytes(40),
        [],
    )


def _headers(r: random.Random) -> Event:
    given: Headers = [
        ("trace", b"1"),
        ("trace", None),
        ("trace", r.randbytes(9)),
        ("__connect.errors.topic", b"x"),
    ]
    return Event("duplicate headers", b"k", b"{", given)


HAND_MADE: list[Callable[[random.Random], Event]] = [
    _truncated,
    _other_envelope,
    _wrong_type,
    _null_key,
    _tombstone,
    _huge_number,
    _unknown_table,
    _avro,
    _headers,
]


def message(*keys: object, **changed: object) -> dict[str, object]:
    """A message of the chunk topics about rows of public.questions; without more, one
    that waits for nothing.
    """
    whole = {
        "chunk": 0,
        "table": "public.questions",
        "column": "embedding",
        "model": "m",
        "keys": list(keys),
    }
    return whole | {"deferral": _deferral()} | changed


def _deferral(**changed: object) -> dict[str, object]:
    return {
        "since": "2026-01-01T00:00:00Z",
        "not_before": "2026-01-01T00:00:01Z",
        "attempt": 1,
        **changed,
    }


def _digits(r: random.Random) -> bytes:
    return b"9" * r.choice([20, 400, 4_299, 4_300, 4_301, 5_000])


def _times(r: random.Random) -> Event:
    wrong: list[object]
    wrong = [
        "2026-01-01T00:00:00",
        "2026-01-01",
        "yesterday",
        "",
        None,
        [],
        {},
        True,
        1e300,
        "2026-02-30T00:00:00Z",
    ]
    changed = _deferral(**{r.choice(["since", "not_before"]): r.choice(wrong)})
    return Event("times", None, _dump(message([1], deferral=changed)), [])


def _no_keys(r: random.Random) -> Event:
    wrong: list[object] = [
        [],
        [[]],
        [[], [1]],
        [1],
        "1",
        {"id": 1},
        None,
        [[[1]]],
        [[None]],
        [[1.5]],
        [[True]],
        [[{}]],
    ]
    return Event("shape of keys", None, _dump(message() | {"keys": r.choice(wrong)}), [])


def _wrong_keys(r: random.Random) -> Event:
    wrong: tuple[list[object], ...]
    wrong = (
        [[1], [2]],
        [["word"]],
        [["1", "2"]],
        [["\u0000"]],
        [["\ud800"]],
        [[2**63]],
        [[""]],
        [["x" * 500_000]],
    )
    return Event("wrong keys", None, _dump(message(*r.choice(wrong))), [])


def _long_numbers(r: random.Random) -> Event:
    place = r.choice([b'"attempt": 1', b'"chunk": 0', b"[[7]]", b'"attempt": 1}'])
    made = {b'"attempt": 1}': b'"attempt": 1, "txids": [%b]}', b"[[7]]": b"[[%b]]"}.get(
        place, place[:-1] + b"%b"
    )
    return Event("long number", None, _dump(message([7])).replace(place, made % _digits(r)), [])


def _negative(r: random.Random) -> Event:
    odd = [
        _deferral(attempt=-1),
        _deferral(attempt=0),
        _deferral(txids=[-1]),
        _deferral(txids=[2**64]),
        [],
        "x",
    ]
    return Event("negative", None, _dump(message([1], deferral=r.choice(odd))), [])


def _newer(r: random.Random) -> Event:
    made = r.choice([message([1], priority=5), message([1], deferral=_deferral(why="a lock"))])
    return Event("newer version", None, _dump(made), [])


def _elsewhere(r: random.Random) -> Event:
    names = ["public.unknown", "a.b.c", "", ".", "public.", '"public".', "\u0000", "x" * 10_000]
    return Event("elsewhere", None, _dump(message([1], table=r.choice(names))), [])


def _no_message(r: random.Random) -> Event:
    values = [
        None,
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 10_000,
        b"\xff\xfe",
        _dump(message([1]))[:-1],
    ]
    return Event("no message", None, r.choice(values), [])


def _both(r: random.Random) -> Event:
    late = _deferral(not_before="9999-12-31T23:59:59Z")
    made = message(
        [1], run=str(UUID(int=r.getrandbits(128))), deferral=r.choice([_deferral(), late])
    )
    return Event("run and deferral", None, _dump(made), [])


DEFERRED: list[Callable[[random.Random], Event]] = [
    _times,
    _no_keys,
    _wrong_keys,
    _long_numbers,
    _negative,
    _newer,
    _elsewhere,
    _no_message,
    _both,
]
"""What no deferred row is; each becomes a dead letter."""


def _of_a_run(r: random.Random) -> Event:
    made = r.choice(DEFERRED[1:])(r)
    if made.value is None or b'"deferral"' not in made.value:
        return made
    return Event(made.kind, None, made.value.replace(b'{"chunk"', b'{"run": "no run", "chunk"'), [])


def _beat(r: random.Random) -> Event:
    source = {"schema": "vectrue", "table": "canary", "ts_ms": 1767225600000, "txId": 5}
    row: dict[str, object] = {"prefix": "t", "beat": 1, "sent_at": "2026-01-01T00:00:00Z"}
    wrong: dict[str, list[object]] = {
        "beat": [2**63, 10**4000, -1, 0, True, 1.5, "1", None],
        "sent_at": ["2026-01-01T00:00:00", "now", "", None, 5, "9" * 5_000],
        "prefix": [None, 5, [], {}],
    }
    name = r.choice(list(wrong))
    made = {"op": "c", "source": source, "after": row | {name: r.choice(wrong[name])}}
    return Event("beat", None, _dump(made), [])


def _letter(r: random.Random) -> Event:
    told = {"topic": b"t.public.questions", "partition": b"0", "offset": b"17"}
    wrong = {
        "topic": [
            b"",
            b"a/b",
            b"\x00",
            b"\xff",
            b"x" * 300,
            "표".encode(),
            b"payments.orders",
            None,
        ],
        "partition": [b"-1", b"9" * 5_000, "٣".encode(), b"1e3", b"", None, b"99999"],
        "offset": [b"-1", b"9" * 5_000, "²".encode(), b"x", b"", None],
    }
    name = r.choice(list(wrong))
    headers: Headers = [
        (f"__connect.errors.{n}", v) for n, v in (told | {name: r.choice(wrong[name])}).items()
    ]
    return Event("letter", r.choice([None, b"k"]), r.choice([None, b"{", r.randbytes(20)]), headers)


REPLAY = [_of_a_run, *DEFERRED]
CANARY = [_beat, *HAND_MADE]
LETTERS = [_letter, *HAND_MADE]


def records(
    makers: list[Callable[[random.Random], Event]], count: int, *, seed_: int
) -> list[Event]:
    """`count` records, half of them by one topic's own makers, the others of every
    topic and made by hypothesis.
    """
    r = random.Random(seed_)
    every = [*HAND_MADE, *DEFERRED, *REPLAY, *CANARY, *LETTERS]
    found = [*_by_hypothesis(count // 6, seed_), *(r.choice(every)(r) for _ in range(count // 3))]
    made = [*found, *(r.choice(makers)(r) for _ in range(count - len(found)))]
    r.shuffle(made)
    return made


def events(count: int, *, seed_: int) -> Iterator[Event]:
    """`count` malformed events: eight with keys of 1 MB, a third made by hypothesis,
    the rest by hand.
    """
    r = random.Random(seed_)
    large = [Event("1 MB key", r.randbytes(LARGE_KEY_BYTES), b"{", []) for _ in range(8)]
    found = _by_hypothesis(count // 3, seed_)
    made = [r.choice(HAND_MADE)(r) for _ in range(count - len(large) - len(found))]
    mixed = [*large, *found, *made]
    r.shuffle(mixed)
    yield from mixed


def _by_hypothesis(count: int, seed_: int) -> list[Event]:
    found: list[Event] = []
    plain = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    )
    tree = st.recursive(
        plain,
        lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=6), t, max_size=3),
    )
    nearly = st.fixed_dictionaries({"op": plain, "source": tree, "after": tree})
    data = st.binary(max_size=64) | (tree | nearly).map(lambda t: json.dumps(t).encode())

    @seed(seed_)
    @settings(
        max_examples=count // 20 + 1,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(st.none() | data, data), min_size=20, max_size=20))
    def draw(pairs: list[tuple[bytes | None, bytes]]) -> None:
        found.extend(Event("hypothesis", key, value, []) for key, value in pairs)

    draw()
    return found[:count]
