"""`vectrue doctor`: checks every precondition, and names the command that fixes it.

The rules are those of `init`; this module decides which services are asked, how long to
wait, and what depends on what.

Hazard: what could not be checked is unknown, never ok.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from connectors.debezium import releases
from connectors.debezium.client import KafkaConnect
from connectors.kafka import checkup as kafka
from connectors.models import ModelFacts, describe_model
from connectors.models.process_memory import available_bytes
from connectors.ports import Clock
from connectors.postgres.health import checkup as postgres
from connectors.postgres.session import Session
from connectors.postgres.setup import origins
from schemas.duration import show_duration
from schemas.errors import VectrueError
from schemas.health import needs
from schemas.health.canary import judge
from schemas.health.check_result import CheckResult, Level, guarded, ok, problem, unknown, warning
from schemas.health.lag_findings import DEFAULT_THRESHOLDS
from schemas.health.severity import Severity
from schemas.health.witness import Canary, Witness
from schemas.settings.reading import Settings
from streams.common.background_call import BackgroundCall
from streams.common.too_large import Explainer
from streams.keeper import log_watch
from streams.keeper.differences import differing
from streams.operations import doctor_migrations
from streams.operations.witness import with_transit

ANSWER_SECONDS = 15.0
INIT = "vectrue init"
_LISTS = {"table.include.list", "column.include.list"}
_WEIGHTS = (".safetensors", ".bin", ".onnx")
T = TypeVar("T")


def examine(settings: Settings, clock: Clock) -> list[CheckResult]:
    """Check everything.

    Args:
        settings: all of them.
        clock: times the calls.

    Returns:
        the findings, in the order in which a change passes the parts.
    """
    names = ", ".join(table.name for table in settings.tables)
    findings = [ok("settings", f"valid, for {names}") if names else _no_tables()]
    broker: BackgroundCall[list[CheckResult] | None] = BackgroundCall(
        lambda: kafka.run(settings, clock)
    )
    capturing: BackgroundCall[_ConnectorChecks | None] = BackgroundCall(
        lambda: _connect(settings, clock)
    )
    model: BackgroundCall[ModelFacts | None] = BackgroundCall(
        lambda: describe_model(settings.model)
    )
    # All at once, each with a timeout: the doctor must not hang because a service does.
    for question in (broker, capturing, model):
        question.start()
    facts, said = _answer("model", model, "reading the model's files takes too long")
    findings += said or list(_model(facts))
    seen, said = _ask_postgres(settings, facts)
    findings += said
    topics, topics_said = _answer(needs.KAFKA, broker, "Kafka does not answer in time")
    if seen is not None:
        findings += _witnessed(settings, clock, seen.witness, topics or ())
        findings += _migrations(settings)
    findings += topics or [*topics_said, *_without_kafka()]
    connector, said = _answer(
        needs.CONNECT, capturing, "Kafka Connect does not answer in time", follows=[needs.KAFKA]
    )
    if connector is None:
        return [
            *findings,
            *said,
            unknown("connector", "Kafka Connect does not answer", follows=[needs.CONNECT]),
        ]
    findings += [
        *connector.findings,
        *guarded("connector", lambda: _compared(settings, connector, seen)),
    ]
    if seen is not None:
        findings += _offset(settings, clock, connector)
    return findings


def _ask_postgres(
    settings: Settings, facts: ModelFacts | None
) -> tuple[postgres.Checkup | None, list[CheckResult]]:
    """Return what was found in Postgres, and its lines; None if it does not answer."""
    made = facts.dimensions if facts and facts.dimensions else settings.model.dimensions
    wanted = postgres.ExpectedModel(settings.model.name, facts.record if facts else None, made)
    database: BackgroundCall[postgres.Checkup | None] = BackgroundCall(
        lambda: _database(settings, wanted)
    )
    database.start()
    seen, said = _answer("Postgres", database, "Postgres does not answer in time")
    if seen is None:
        return None, [*said, *_without_postgres(settings)]
    return seen, list(seen.findings)


def _migrations(settings: Settings) -> list[CheckResult]:
    moving: BackgroundCall[list[CheckResult] | None] = BackgroundCall(lambda: _moving(settings))
    moving.start()
    found, said = _answer(
        "migrations", moving, "Postgres does not answer in time", follows=needs.KEPT
    )
    return said if found is None else found


def _offset(
    settings: Settings, clock: Clock, connector: "_ConnectorChecks"
) -> Iterator[CheckResult]:
    watched: BackgroundCall[list[CheckResult] | None] = BackgroundCall(
        lambda: _watched(settings, clock)
    )
    watched.start()
    late = "Postgres or Kafka Connect does not answer in time"
    offset, said = _answer(needs.OFFSET, watched, late, follows=[*needs.KEPT, needs.CONNECT])
    for one in said if offset is None else offset:
        # A connector that does not exist has no offset that could be right.
        if connector.status is not None or one.level is not Level.OK:
            yield one


def _without_kafka() -> Iterator[CheckResult]:
    for check in (needs.TOPICS, "workers"):
        yield unknown(check, "Kafka does not answer", follows=[needs.KAFKA])


def _without_postgres(settings: Settings) -> Iterator[CheckResult]:
    why = "Postgres does not answer"
    for table in settings.tables:
        yield unknown(f"table {table.name}", why, follows=[needs.POSTGRES])
    for check in ("publication", "slot", "heartbeat", "canary"):
        yield unknown(check, why, follows=[needs.POSTGRES])


class _ConnectorChecks:
    """What Kafka Connect says about the connector."""

    def __init__(self, connect: KafkaConnect, settings: Settings) -> None:
        name = settings.connector
        self._settings = settings
        connect.check()
        self.status = connect.status(name)
        self.config = connect.config(name)
        self.offset = connect.offset(name)
        self.findings = [
            ok("Kafka Connect", f"answers at {connect.shown}"),
            _release(connect.version()),
            self._finding(f"connector {name}"),
        ]

    def _finding(self, check: str) -> CheckResult:
        if self.status is None:
            return problem(
                check,
                "is not known to Kafka Connect: nothing is captured",
                INIT,
                follows=needs.SET_UP,
            )
        if self.status.error is not None:
            said = Explainer(self._settings).explain(self.status.error)
            running = needs.Needs(self._settings).running
            return problem(check, f"failed: {said}", "fix that, then vectrue init", follows=running)
        if not self.status.is_running:
            return problem(check, f"is {self.status.state}, tasks {list(self.status.tasks)}", INIT)
        return ok(check, f"is RUNNING, {len(self.status.tasks)} task")


def _witnessed(
    settings: Settings, clock: Clock, witness: Witness, kafka: Sequence[CheckResult]
) -> Iterator[CheckResult]:
    """Check whether changes arrive, and what is configured but does not exist."""
    needed = needs.Needs(settings).canary
    way: BackgroundCall[Witness] = BackgroundCall(lambda: with_transit(witness, settings, clock))
    way.start()
    try:
        witness = way.answer(ANSWER_SECONDS) or witness
    except VectrueError as error:
        yield unknown("canary", error.message, follows=needed)
        return
    yield _canary(witness.canary, needed)
    for look in witness.looks:
        line = needs.table(str(look.table))
        fails = any(one.about == line for one in witness.differences)
        fix = f"fix {line}; its rows are checked again after that" if fails else _who_looks(kafka)
        yield warning("rows to be looked at", look.sentence, fix, follows=needed)
    for neglected in witness.neglected:
        yield warning("looks", neglected.sentence, follows=needed)
    for edit in witness.edits:
        yield warning("settings of workers", edit.sentence, edit.fix)
    # From the line of the table, publication or slot, whose rules are stricter.
    for one in witness.differences:
        yield problem("configured", one.sentence, one.fix, follows=[one.about])
    if witness.error is not None:
        said_so = f"what the database watches cannot be read: {witness.error}"
        yield problem("configured", said_so, follows=needs.KEPT)
    elif not witness.differences:
        yield ok("configured", "is what is there, as running workers see it")


def _canary(seen: Canary, needed: Sequence[str]) -> CheckResult:
    said = judge(seen, DEFAULT_THRESHOLDS.crit)
    if said is None:
        age = show_duration(max(seen.age_seconds or 0.0, 0.0))
        return ok(
            "canary",
            f"changes arrive: what was written {age} ago has come back through Kafka and a "
            "live worker",
        )
    if said.severity is Severity.WARNING:
        return warning("canary", said.sentence, follows=needed)
    return problem("canary", said.sentence, follows=needed)


def _who_looks(kafka: Sequence[CheckResult]) -> str:
    """Return how a table's rows come to be checked, by what Kafka says of the workers."""
    start = "vectrue worker --role replay"
    fix = f"the keeper of a worker checks them: {start}"
    for finding in kafka:
        if not finding.check.endswith(" workers"):
            continue
        if finding.level is Level.OK:
            return (
                "no action needed: the keeper of a running worker will check them; if it does "
                "not, its log says why"
            )
        fix = f"{start}, whose keeper checks them"
    return fix


def _release(version: str | None) -> CheckResult:
    if version is None:
        return problem(
            "Debezium", "Kafka Connect has no Postgres connector of Debezium", releases.FIX
        )
    lost = releases.hazard(version)
    if lost is not None:
        return warning("Debezium", lost, releases.FIX)
    return ok("Debezium", f"release {version}")


def _no_tables() -> CheckResult:
    return problem(
        "settings", "no table is configured", "add [[tables]] with name and text to vectrue.toml"
    )


def _answer(
    check: str, question: BackgroundCall[T | None], late: str, *, follows: Sequence[str] = ()
) -> tuple[T | None, list[CheckResult]]:
    """Return the answer, or None and the finding that there is none."""
    try:
        answer = question.answer(ANSWER_SECONDS)
    except VectrueError as error:
        return None, [problem(check, error.message, error.fix, follows=follows)]
    if answer is None:
        return None, [problem(check, f"{late} ({ANSWER_SECONDS:g} s)", follows=follows)]
    return answer, []


def _model(facts: ModelFacts | None) -> Iterator[CheckResult]:
    if facts is None:
        return
    if facts.problem is not None or not facts.present:
        said = facts.problem or f"the files of {facts.name} are not here"
        fix = facts.fix or "vectrue model pull"
        yield problem("model", said.removesuffix(f": {fix}"), fix)
        return
    yield ok("model", f"{facts.model_id}, {facts.dimensions} dimensions; its files are here")
    folder = facts.location
    if folder is None or not folder.is_dir():
        return
    weights = 0
    for file in folder.rglob("*"):
        if file.suffix in _WEIGHTS:
            weights += file.stat().st_size
    free = available_bytes()
    if free is None:
        yield unknown("memory", "this system does not report it")
        return
    said = f"{free / 2**30:.1f} GiB available, the weights are {weights / 2**30:.1f} GiB"
    if free < weights:
        # A running worker has its weights in memory already.
        yield warning(
            "memory", said, "free memory on this machine; a worker that runs already has its own"
        )
    else:
        yield ok("memory", said)


def _database(settings: Settings, wanted: postgres.ExpectedModel) -> postgres.Checkup:
    session = Session(settings.postgres.dsn, role="doctor", prefix=settings.kafka.topic_prefix)
    try:
        return postgres.run(session, settings, wanted)
    finally:
        session.close()


def _moving(settings: Settings) -> list[CheckResult]:
    session = Session(settings.postgres.dsn, role="doctor", prefix=settings.kafka.topic_prefix)
    try:
        return list(doctor_migrations.look(settings, session))
    finally:
        session.close()


def _connect(settings: Settings, clock: Clock) -> _ConnectorChecks:
    connect = KafkaConnect(settings.connect.url, clock)
    try:
        return _ConnectorChecks(connect, settings)
    finally:
        connect.close()


def _watched(settings: Settings, clock: Clock) -> list[CheckResult]:
    """Check that the connector's offset belongs to this database's log."""
    session = Session(settings.postgres.dsn, role="doctor", prefix=settings.kafka.topic_prefix)
    connect = KafkaConnect(settings.connect.url, clock)
    try:
        found = log_watch.of_connector(session, settings, connect)
    finally:
        connect.close()
        session.close()
    # Without a slot there is no position to compare with, so its line comes first.
    gone = [needs.Needs(settings).slot]
    wrong = [problem(needs.OFFSET, one.sentence, one.fix, follows=gone) for one in found]
    return wrong or [ok(needs.OFFSET, f"of {settings.connector}, belongs to this database's log")]


def _compared(
    settings: Settings, connector: _ConnectorChecks, seen: postgres.Checkup | None
) -> Iterable[CheckResult]:
    """Compare the connector with the database: its configuration, and where it stopped."""
    check = f"configuration of {settings.connector}"
    if connector.config is None or connector.status is None:
        return
    if seen is None or len(seen.tables) < len(settings.tables):
        unread = [needs.POSTGRES, *(needs.table(table.name) for table in settings.tables)]
        yield unknown(check, "the tables in Postgres are not known", follows=unread)
        return
    targets = [examined.target for examined in seen.tables]
    difference = origins.left_out(seen.foreign_origins, connector.config)
    if difference:
        yield problem(check, difference.sentence, difference.fix)
    other = differing(settings, seen.parameters, targets, seen.server.major, connector.config)
    if seen.leaving and set(other) <= _LISTS:
        yield ok(check, f"captures {', '.join(seen.leaving)} too, of another settings file")
    elif other:
        yield problem(check, f"differs from the settings in {', '.join(other)}", INIT)
    else:
        yield ok(check, "is what the settings ask for")
    starts, read = seen.slot_position, connector.offset
    # A running connector moves between the two questions, and the slot with it.
    if connector.status.is_running or starts is None or read is None:
        return
    if read < starts:
        gone = (
            "starts after the place where the connector stopped: it was created again, and "
            "changes were missed"
        )
        yield problem(f"slot {settings.slot}", gone, INIT)
