"""`vectrue verify`: arguments and printing only; the work is in streams/audit/verify.py."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from connectors.clock import SystemClock
from connectors.kafka.outbox import KafkaOutbox
from connectors.postgres.audit.scan import Audit
from connectors.postgres.session import Session
from schemas.reports.audit_report import FINDINGS, STATES, Truth, verdict
from schemas.settings.reading import Settings
from streams.audit.verify import Verify
from streams.cli.arguments import count_or_all, open_session
from streams.cli.formatting import cosine, heading, key, number
from streams.cli.screen.bars import counting_bars
from streams.cli.screen.confirmation import MANY_ROWS, YesOption, require_confirmation
from streams.cli.screen.output import (
    Format,
    OutputOption,
    err,
    out,
    print_json,
    print_warning,
)
from streams.cli.screen.replay_page import announce
from streams.cli.screen.replay_progress import RunProgress
from streams.cli.screen.tables import Grid
from streams.common import embedders
from streams.common.embedders import Embedders
from streams.replay import plan as replay_plan
from streams.replay.run import Replay


def verify(
    ctx: typer.Context,
    deep: Annotated[
        str | None,
        typer.Option(
            metavar="N|all", help="embed N random current rows per table again, and compare"
        ),
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option("--table", "-t", help="only this table; may be repeated")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="replay what is untrue, and check again")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="with --repair: say what would be done, do nothing")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**31 - 1, help="draw the same random rows as an earlier run"),
    ] = None,
    yes: YesOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Check that every vector is true, and exit 1 while one is not.

    True is a row that is current, blank, unreadable, or in quarantine with its reason.
    Beside the states of `vectrue status`, it counts vectors that have the wrong
    dimension, are not finite or not of unit length, are not the ones that were written
    with their provenance, have no provenance, or name a model that this database never
    wanted. It reads every vector once.

    A vector that was overwritten by another one of unit length, before digests were
    kept, looks right. Only --deep finds it: it embeds texts again and reports every
    cosine below 0.999. A sample finds such a vector with luck only; --deep all checks
    every row, which takes as long as embedding the table. The configured model must be
    the one that the tables want. Changes on their way are not known: rows that wait for
    the worker count as stale.

    --repair removes the hash from untrue vectors, which stay readable, replays all that
    is stale, and checks again. At least one replay worker must run: `vectrue worker`.

    For example:

        vectrue verify
        vectrue verify --deep 1000 -t public.questions
        vectrue verify --deep all --repair
        vectrue verify -o json | jq .true
    """
    if dry_run and not repair:
        raise typer.BadParameter("it belongs to --repair", param_hint="--dry-run")
    count = None if deep is None else count_or_all(deep, "--deep")
    settings: Settings = ctx.obj()
    session = open_session(settings, "verify")
    audit = Audit(settings.postgres, prefix=settings.kafka.topic_prefix)
    checks = Verify(settings, audit, session, table or [])
    models = _models(settings, session, checks, deep)
    report: dict[str, Any] = {}
    draw = secrets.randbits(31) if seed is None else seed
    found = checks.scan()
    if models is not None:
        with counting_bars() as bars:
            found = checks.deep(found, models, count, draw, bars)
        report["seed"] = draw
    if repair and not _is_true(found):
        if output is not Format.JSON:
            _print(found, wide=output is Format.WIDE)
        report["repair"] = _plan(found)
        if dry_run:
            _print_plan(found)
        else:
            _require_consent(found, yes=yes)
            found, report["repair"] = _repair(settings, session, checks, found, models)
    true = _is_true(found)
    if output is Format.JSON:
        _print_json(found, report)
    # A dry run has shown the same table above.
    elif not (repair and dry_run and not true):
        _print(found, wide=output is Format.WIDE)
    raise typer.Exit(0 if true else 1)


def _models(
    settings: Settings, session: Session, checks: Verify, deep: str | None
) -> Embedders | None:
    if deep is None:
        return None
    return embedders.for_targets(settings, session, checks.targets)


def _is_true(found: Sequence[Truth]) -> bool:
    return all(truth.is_true for truth in found)


def _require_consent(found: Sequence[Truth], *, yes: bool) -> None:
    rows = 0
    for truth in found:
        rows += truth.untrue
    # A repair deletes nothing, so only its length is asked about.
    if rows > MANY_ROWS:
        require_confirmation(f"Embed {rows:,} rows?", yes=yes)


def _repair(
    settings: Settings,
    session: Session,
    checks: Verify,
    found: Sequence[Truth],
    models: Embedders | None,
) -> tuple[list[Truth], dict[str, Any]]:
    replay = Replay(settings, session, KafkaOutbox(settings, checks.targets), SystemClock())
    try:
        with RunProgress(lambda: replay_plan.members(settings)[0]) as progress:
            # The workers do the replay; Ctrl-C only ends the watching.
            disowned, outcome = checks.repair(found, replay, announce, progress.show)
    except KeyboardInterrupt:
        err.print("no longer watched: the workers go on; `vectrue replay run` takes it up again")
        raise typer.Exit(130) from None
    err.print(f"{disowned:,} vectors lost their hash; checking again")
    done = {
        **_plan(found),
        "hashes_removed": disowned,
        "run": str(outcome.run) if outcome.run else None,
    }
    return checks.again(found, models), done


def _plan(found: Sequence[Truth]) -> dict[str, Any]:
    to_remove = to_replay = 0
    for truth in found:
        to_remove += truth.disowned
        to_replay += truth.untrue - truth.disowned
    return {"to_remove": to_remove, "to_replay": to_replay}


def _print_plan(found: Sequence[Truth]) -> None:
    for truth in found:
        if truth.untrue:
            stale = truth.untrue - truth.disowned
            err.print(
                f"would take the hash from {truth.disowned:,} vectors of {_name(truth)}, "
                f"which stay readable, and replay them with {stale:,} rows that are missing "
                "or stale"
            )


def _print_json(found: Sequence[Truth], report: dict[str, Any]) -> None:
    tables: list[dict[str, Any]] = []
    for truth in found:
        tables.append(truth.to_json())
    print_json({"tables": tables, "true": _is_true(found), "verdict": verdict(found), **report})


def _print(found: Sequence[Truth], *, wide: bool = False) -> None:
    counted = list(STATES)
    for name in FINDINGS:
        if any(truth.count(name) for truth in found):
            counted.append(name)
    headings = list(map(heading, counted))
    table = Grid(
        "TABLE",
        "COLUMN",
        "ROWS",
        *headings,
        zeros=headings[1:],
        last=("COLUMN",),
        wide=wide,
    )
    for truth in found:
        counts = [number(truth.count(name)) for name in counted]
        table.add_row(truth.table, truth.column, number(truth.rows), *counts)
    out.print(table)
    for truth in found:
        _print_samples(truth)
        _print_deep(truth)
    _print_textless(found)
    out.print(verdict(found), style="green" if _is_true(found) else "red")


def _print_samples(truth: Truth) -> None:
    for name, keys in truth.samples.items():
        shown = " ".join(map(key, keys))
        out.print(f"{_name(truth)}: {heading(name).lower()}: {shown}")


def _print_deep(truth: Truth) -> None:
    deep = truth.deep
    if deep is None:
        return
    name = _name(truth)
    out.print(
        f"{name}: {deep.checked:,} compared, lowest cosine {cosine(deep.lowest_cosine)}, "
        f"mean {cosine(deep.mean_cosine)}"
    )
    for row in deep.untrue:
        out.print(
            f"{name}: row {key(row.key)} has another vector than its text makes: cosine "
            f"{cosine(row.cosine)}"
        )
    if deep.skipped:
        out.print(f"{name}: {deep.skipped:,} not compared: changed meanwhile")
    if deep.refused:
        out.print(f"{name}: {deep.refused:,} not compared: not taken by the model now")


def _print_textless(found: Sequence[Truth]) -> None:
    # Two columns of a table have the same sentence: it is printed once.
    sentences: dict[str, None] = {}
    for truth in found:
        if truth.textless and truth.textless.sentence:
            sentences[truth.textless.sentence] = None
    for sentence in sentences:
        print_warning(sentence)


def _name(truth: Truth) -> str:
    return f"{truth.table}.{truth.column}"
