"""What `vectrue doctor` finds in Kafka: topics, and whether workers run.

Hazard: a topic that we may not see is an error here, never a missing topic.
"""

from collections.abc import Iterator
from typing import Literal

from connectors.kafka import topics
from connectors.kafka.offsets import KafkaOffsets
from connectors.ports import Clock
from schemas.health.check_result import CheckResult, guarded, ok, problem, warning
from schemas.health.needs import SET_UP, TOPICS, Needs
from schemas.settings.reading import Settings


def run(settings: Settings, clock: Clock) -> list[CheckResult]:
    """Look at the broker, the topics and the groups.

    Raises:
        TransientError: no broker answers.
        ConfigurationError: it refuses us, or does not let us see a topic.
    """
    names = [table.table for table in settings.tables]
    wanted = topics.wanted(settings, names)
    missing = topics.missing(settings, list(wanted))
    findings = [ok("Kafka", f"answers at {settings.kafka.bootstrap_servers}")]
    if missing:
        said = f"topics {', '.join(missing)} do not exist"
        if len(missing) == 1:
            said = f"topic {missing[0]} does not exist"
        findings.append(problem(TOPICS, said, "vectrue init", follows=SET_UP))
    findings += [warning(TOPICS, notice) for notice in topics.differing(settings, names)]
    if len(findings) == 1:
        findings.append(ok(TOPICS, f"all {len(wanted)} are there"))
    return findings + guarded("workers", lambda: _groups(settings, clock))


def _groups(settings: Settings, clock: Clock) -> Iterator[CheckResult]:
    offsets = KafkaOffsets(settings, clock)
    try:
        yield _workers(settings, "live", len(offsets.client_ids(settings.live_group)))
        yield _workers(settings, "replay", len(offsets.client_ids(settings.replay_group)))
    finally:
        offsets.close()


def _workers(settings: Settings, role: Literal["live", "replay"], members: int) -> CheckResult:
    check, needed = f"{role} workers", Needs(settings).workers
    command = f"vectrue worker --role {role}"
    if members:
        group = settings.live_group if role == "live" else settings.replay_group
        return ok(check, f"{members} in group {group}")
    if role == "live":
        said = "none runs: changes are captured, and wait"
        return problem(check, said, command, follows=needed)
    said = "none runs: replays wait, and nothing heals by itself"
    return warning(check, said, command, follows=needed)
