"""Records of the canary's topic, for unit tests."""

import json
from datetime import timedelta
from typing import Any

from schemas.messages.record import Record
from tests.support.lag import NOW

TOPIC = "p.vectrue.canary"


def record(value: Any) -> Record:
    data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return Record(TOPIC, 0, 0, None, data, (), round(NOW.timestamp() * 1000) + 30)


def event(
    number: int, *, prefix: Any = "p", seconds_ago: float = 0.0, **row: Any
) -> dict[str, Any]:
    sent = NOW - timedelta(seconds=seconds_ago)
    ms = round(sent.timestamp() * 1000)
    after = {"prefix": prefix, "beat": number, "sent_at": sent.isoformat().replace("+00:00", "Z")}
    source = {"schema": "vectrue", "table": "canary", "ts_ms": ms}
    return {"op": "u", "ts_ms": ms + 10, "source": source, "after": after | row}
