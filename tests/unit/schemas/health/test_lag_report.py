"""The verdict on a lag report: the worst hop in words, and the plugin's lines."""

from collections.abc import Mapping
from typing import Any

import pytest

from schemas.health.lag import ConnectorState, PartitionLag, SlotLag, Status
from schemas.sizes import show_bytes
from tests.support.lag import CASES, TOPIC, group, report, row


@pytest.mark.parametrize(("parts", "code", "words"), CASES)
def test_verdict_and_exit_code(parts: Mapping[str, Any], code: int, words: str) -> None:
    """Each trouble has its hop, its words and its exit code."""
    seen = report(**parts)
    assert seen.verdict.startswith(words)
    assert seen.severity.exit_code == code
    assert seen.plugin_lines()[0].startswith(f"LAG {seen.severity} - {words}")


def test_a_stopped_connector_explains_its_idle_slot() -> None:
    """Both are warnings; the cause is named, not its consequence."""
    seen = report(
        slot=SlotLag("s", "inactive", "reserved", 1, 2), connector=ConnectorState("c", "PAUSED", ())
    )
    assert [finding.hop for finding in seen.findings] == ["capture"]


def test_worst_hop_comes_first_then_the_flow() -> None:
    """CRITICAL before WARNING before UNKNOWN, and within one the order of the data."""
    seen = report(
        slot=SlotLag("s", "inactive", "reserved", 1, 2),
        live=group(row(5, 9, age=400.0), PartitionLag("other", None, error="gone")),
        replay=group(row(5, 9, age=1, status=Status.STOP), members=0),
    )
    assert [(str(f.severity), f.hop) for f in seen.findings] == [
        ("CRITICAL", "live"),
        ("WARNING", "source"),
        ("WARNING", "replay"),
        ("UNKNOWN", "live"),
    ]


def test_performance_data_says_u_for_unknown() -> None:
    """The first line ends in figures with thresholds; unknown is U, and a message
    cannot break the format.
    """
    known = report(live=group(row(5, 8128, age=412.0))).plugin_lines()[0]
    assert known.endswith(
        "| time_lag=412s;30;300 lag=8123 replay_lag=0 slot_retained=20B canary_age=2s"
    )
    odd = report(live=group(PartitionLag(TOPIC, 0, error="a | b\nc")), slot=SlotLag("s", error="x"))
    first, *rest = odd.plugin_lines()
    assert first.endswith("| time_lag=U;30;300 lag=U replay_lag=0 slot_retained=U canary_age=2s")
    assert rest == ["UNKNOWN - live: a / b c"]


def test_sizes_are_shown() -> None:
    """Units of 1024."""
    assert [show_bytes(n) for n in (0, 1023, 1024, 5 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 GiB",
    ]
