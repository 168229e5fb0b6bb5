"""What `vectrue doctor` finds in Kafka: topics, and whether workers run."""

from collections.abc import Iterator

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
    missing = topics.missing(settings, list(topics.wanted(settings, names)))
    findings = [ok("Kafka", f"answers at {settings.kafka.bootstrap_servers}")]
    if missing:
        said = (
            f"topic {missing[0]} does" if len(missing) == 1 else f"topics {', '.join(missing)} do"
        )
        findings.append(problem(TOPICS, f"{said} not exist", "vectrue init", follows=SET_UP))
    findings += [warning(TOPICS, said) for said in topics.differing(settings, names)]
    if len(findings) == 1:
        findings.append(ok(TOPICS, f"all {len(topics.wanted(settings, names))} are there"))
    return findings + guarded("workers", lambda: _groups(settings, clock))


def _groups(settings: Settings, clock: Clock) -> Iterator[CheckResult]:
    offsets, needed = KafkaOffsets(settings, clock), Needs(settings).workers
    try:
        for role, group in (("live", settings.live_group), ("replay", settings.replay_group)):
            members = len(offsets.client_ids(group))
            check, command = f"{role} workers", f"vectrue worker --role {role}"
            if members:
                yield ok(check, f"{members} in group {group}")
            elif role == "live":
                yield problem(
                    check, "none runs: changes are captured, and wait", command, follows=needed
                )
            else:
                yield warning(
                    check,
                    "none runs: replays wait, and nothing heals by itself",
                    command,
                    follows=needed,
                )
    finally:
        offsets.close()
