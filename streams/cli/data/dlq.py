"""`vectrue dlq`: arguments and printing only; the work is in streams/dead_letters."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from connectors.clock import SystemClock
from connectors.kafka.dead_letters import DeadLetterTopic
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.postgres.session import Session
from schemas.messages.dead_letter import Entry, Selection
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.cli.arguments import open_session, seconds
from streams.cli.formatting import number
from streams.cli.screen import dlq_page as page
from streams.cli.screen.confirmation import YesOption, require_confirmation
from streams.cli.screen.output import Format, OutputOption, err, out, print_json
from streams.common import targets as target_rules
from streams.dead_letters.entries import DeadLetters
from streams.dead_letters.outcomes import Result
from streams.dead_letters.redrive import Redrive, refusal

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "What could not be handled: undecodable events (the dead-letter topic) and rows in "
        "quarantine."
    ),
)


class EntryKind(StrEnum):
    """What an entry is: an event of the dead-letter topic, or a row in quarantine."""

    EVENT = "event"
    ROW = "row"


_FAILED = frozenset(("not sent", "dead-lettered again", "quarantined"))

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="as `vectrue dlq list` prints them")
]
TableOption = Annotated[str | None, typer.Option("--table", "-t", help="of this table only")]
ReasonOption = Annotated[
    str | None, typer.Option(help="part of the reason, or the name of the error's class")
]
OlderOption = Annotated[
    str | None, typer.Option(metavar="2h", help="that failed last longer ago than this")
]
NewerOption = Annotated[
    str | None, typer.Option(metavar="2h", help="that failed last within this time")
]
KindOption = Annotated[EntryKind | None, typer.Option(help="only events, or only rows")]
AllOption = Annotated[
    bool, typer.Option("--all", help="everything; required without an id or a filter")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]


@app.command("list")
def list_(
    ctx: typer.Context,
    table: TableOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    kind: KindOption = None,
    handled: Annotated[
        bool, typer.Option("--handled", help="also events that were sent again or purged")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """List undecodable events and rows in quarantine, oldest first.

    With -o json one array of objects: id, kind (event, row), table, column, key (array
    of strings, rows only), reason, error, stage, attempts, first_at, last_at,
    size_bytes (events only), state (open, redriven, purged), outcome.

    For example:

        vectrue dlq list
        vectrue dlq list --kind event --reason "not JSON" --newer-than 2h
        vectrue dlq list -o json | jq -r '.[].id'
    """
    selection = _selection((), kind, table, reason, older_than, newer_than)
    settings = ctx.obj()
    entries = _letters(settings, open_session(settings, "dlq")).entries(selection, handled=handled)
    if output is Format.JSON:
        print_json([entry.to_json() for entry in entries])
    else:
        page.show_entries(entries, wide=output is Format.WIDE)


@app.command()
def show(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="as `vectrue dlq list` prints it")],
    full: Annotated[
        bool, typer.Option("--full", help="do not cut key and value at 2,000 bytes")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show one entry: why it failed, and of an event the key, the value and the
    headers.

    Bytes that are text are shown as text, others as hex digits after `hex:`. With -o
    json the object of `dlq list`, and for an event event_key, event_value (null where
    the event has none) and headers (array of name and value).
    """
    settings = ctx.obj()
    letters = _letters(settings, open_session(settings, "dlq"))
    # An id that is unknown is an error of `entries`, so there is exactly one.
    (entry,) = letters.entries(Selection(ids=(id_,)), handled=True)
    shown = entry.to_json()
    for _, letter in letters.dead_letters([entry]):
        shown.update(page.content(letter, None if full else page.SHOWN_BYTES))
    if output is Format.JSON:
        print_json(shown)
    else:
        page.show_entry(shown)


@app.command()
def redrive(
    ctx: typer.Context,
    ids: IdsArgument = None,
    *,
    table: TableOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    kind: KindOption = None,
    everything: AllOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="also events that were sent again before")
    ] = False,
    wait: Annotated[
        str, typer.Option(metavar="30s", help="how long to follow what becomes of each")
    ] = "30s",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="do not follow")] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Send entries through again, after the cause is fixed, and report what became of
    each.

    Events go back to their topic as they were, if that is one that is read here; rows
    leave quarantine and go through the replay lane, unless an unfinished replay holds
    their column. An event is sent once: a second call skips it, unless --again. What
    fails again is a new entry.

    Outcomes: current, blank, gone, quarantined (the row is so now), handled (there was
    no row to look at), dead-lettered again, waiting (no worker has handled it yet), not
    sent, already redriven. While a table has two columns (vectrue migrate), the outcome
    is that of the column which is furthest from done. With -o json one array of
    objects: id, outcome, detail. Exit code 1 if one was not sent or failed again. One
    that waits has not failed, since it is on its way: a script sees it by the outcome.

    For example:

        vectrue dlq redrive vectrue.public.questions/3/1234
        vectrue dlq redrive --table public.questions --dry-run
        vectrue dlq redrive --all --wait 5m
        vectrue dlq redrive --all -o json | jq -e 'all(.outcome != "waiting")'
    """
    settings = ctx.obj()
    selection = _selection(
        ids or (), kind, table, reason, older_than, newer_than, everything=everything
    )
    session = open_session(settings, "dlq")
    letters = _letters(settings, session)
    # An event that is named by its id is meant, also if it was handled before.
    entries = letters.entries(selection, handled=again or bool(ids))
    if dry_run:
        results = _forecasts(settings, entries)
    else:
        limit = 0.0 if no_wait else seconds(wait, "--wait")
        results = _redrive(settings, session, letters).run(
            entries, _announce, again=again, wait=limit
        )
    page.show_results(results, output)
    outcomes: list[str] = []
    for result in results:
        outcomes.append(result.outcome)
    # An entry that waits is on its way, and has not failed.
    waiting = outcomes.count("waiting")
    if waiting:
        err.print(f"{number(waiting)} of {number(len(results))} are not handled yet: vectrue lag")
    raise typer.Exit(0 if _FAILED.isdisjoint(outcomes) else 1)


@app.command()
def purge(
    ctx: typer.Context,
    ids: IdsArgument = None,
    *,
    table: TableOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    kind: KindOption = None,
    everything: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Give entries up for good.

    Kafka can only delete the oldest records of a topic. Events are deleted as far as
    all older ones are purged too; the others are hidden until they are the oldest, or
    until retention deletes them. Rows leave quarantine: they count as missing or stale,
    and the next `vectrue replay run` tries them again. With -o json: deleted, hidden,
    rows.
    """
    settings = ctx.obj()
    letters = _letters(settings, open_session(settings, "dlq"))
    selection = _selection(
        ids or (), kind, table, reason, older_than, newer_than, everything=everything
    )
    entries = letters.entries(selection, handled=True)
    if dry_run:
        results: list[Result] = []
        for entry in entries:
            results.append(Result(entry.id, "would be purged", entry.reason))
        page.show_results(results, output)
        return
    if entries:
        require_confirmation(f"Give {number(len(entries))} entries up for good?", yes=yes)
    done = letters.purge(entries)
    if output is Format.JSON:
        print_json({"deleted": done.deleted, "hidden": done.hidden, "rows": done.rows})
        return
    events = f"{number(done.deleted)} events deleted, {number(done.hidden)} hidden"
    out.print(f"{events}, {number(done.rows)} rows out of quarantine")


def _forecasts(settings: Settings, entries: Sequence[Entry]) -> list[Result]:
    """Say of each entry whether it would be sent."""
    results: list[Result] = []
    for entry in entries:
        results.append(_forecast(settings, entry))
    return results


def _forecast(settings: Settings, entry: Entry) -> Result:
    why = refusal(settings, entry)
    if why is None:
        return Result(entry.id, "would be sent", entry.reason)
    return Result(entry.id, "not sent", why)


def _letters(settings: Settings, session: Session) -> DeadLetters:
    clock = SystemClock()
    return DeadLetters(settings, session, DeadLetterTopic(settings, clock), clock)


def _redrive(settings: Settings, session: Session, letters: DeadLetters) -> Redrive:
    clock = SystemClock()
    targets = target_rules.resolve(settings, session)
    outbox = KafkaOutbox(settings, targets)
    offsets = KafkaOffsets(settings, clock)
    return Redrive(settings, session, targets, letters, outbox, offsets, clock)


def _announce(run: UUID) -> None:
    err.print(
        f"rows go through run {run}; interrupted, it goes on with: vectrue replay resume {run}"
    )


def _selection(
    ids: Sequence[str],
    kind: EntryKind | None,
    table: str | None,
    reason: str | None,
    older_than: str | None,
    newer_than: str | None,
    *,
    everything: bool = True,
) -> Selection:
    # Without any word on which, "all" may be a slip: it has to be typed.
    if not everything and not any((ids, kind, table, reason, older_than, newer_than)):
        raise typer.BadParameter("say which: IDs, a filter, or --all")
    return Selection(
        ids=tuple(ids),
        kind=None if kind is None else kind.value,
        table=str(TableName.parse(table)) if table else None,
        reason=reason,
        older_than=None if older_than is None else seconds(older_than, "--older-than"),
        newer_than=None if newer_than is None else seconds(newer_than, "--newer-than"),
    )
