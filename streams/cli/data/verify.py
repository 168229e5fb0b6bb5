"""`vectrue verify`: arguments and printing only; the work is in
streams/audit/verify.py.
"""

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
from streams.cli.screen.output import (
    Format,
    OutputOption,
    count_or_all,
    counting_bars,
    err,
    number,
    out,
    print_json,
)
from streams.cli.screen.replay_page import Bars, announce
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
        bool, typer.Option("--repair", help="send what is untrue to replay, and check again")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="with --repair: say what would be done, do nothing")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="draw the same rows as another time")
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Check that every vector is true, and exit 1 while one is not.

    True is a row that is current, blank, unreadable, or in quarantine with its reason.
    Beside the states of `vectrue status`, vectors are counted that have the wrong
    dimension, are not finite or not of unit length, are not the ones that were written
    with their provenance, say no provenance, or name a model that this database never
    wanted. Reads every vector once.

    A vector of before digests were kept that was overwritten by another one of unit
    length looks right. Only --deep finds it: it embeds texts again and reports every
    cosine under 0.999. A sample finds such a vector with luck only; --deep all checks
    every row, which takes as long as embedding the table. The configured model must be
    the one that the tables want. Nothing is known about changes on their way: rows that
    wait for the worker count as stale.

    --repair takes the hash from untrue vectors, which stay readable, replays all that
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
    session = Session(settings.postgres.dsn, role="verify", prefix=settings.kafka.topic_prefix)
    audit = Audit(settings.postgres, prefix=settings.kafka.topic_prefix)
    checks = Verify(settings, audit, session, table or [])
    models = embedders.for_targets(settings, session, checks.targets) if deep is not None else None
    draw = secrets.randbits(31) if seed is None else seed
    found = checks.scan()
    if models is not None:
        with counting_bars() as progress:
            found = checks.deep(found, models, count, draw, progress)
    report: dict[str, Any] = {"seed": draw} if models else {}
    if repair and not all(truth.is_true for truth in found):
        if output is not Format.JSON:
            _print(found, wide=output is Format.WIDE)
        report["repair"] = _plan(found)
        if dry_run:
            _tell_plan(found)
        else:
            found, report["repair"] = _repair(settings, session, checks, found, models)
    true = all(truth.is_true for truth in found)
    if output is Format.JSON:
        tables = [truth.to_json() for truth in found]
        print_json({"tables": tables, "true": true, "verdict": verdict(found), **report})
    elif not (repair and dry_run and not true):
        _print(found, wide=output is Format.WIDE)
    raise typer.Exit(0 if true else 1)


def _repair(
    settings: Settings,
    session: Session,
    checks: Verify,
    found: Sequence[Truth],
    models: Embedders | None,
) -> tuple[list[Truth], dict[str, Any]]:
    replay = Replay(settings, session, KafkaOutbox(settings, checks.targets), SystemClock())
    try:
        with Bars(lambda: replay_plan.members(settings)[0]) as bars:
            disowned, outcome = checks.repair(found, replay, announce, bars.show)
    except KeyboardInterrupt:
        err.print("no longer watched: the workers go on; `vectrue replay run` takes it up again")
        raise typer.Exit(130) from None
    err.print(f"{disowned:,} vectors lost their hash; checking again", soft_wrap=True)
    done = {
        **_plan(found),
        "hashes_removed": disowned,
        "run": str(outcome.run) if outcome.run else None,
    }
    return checks.again(found, models), done


def _plan(found: Sequence[Truth]) -> dict[str, Any]:
    return {
        "to_remove": sum(truth.disowned for truth in found),
        "to_replay": sum(truth.untrue - truth.disowned for truth in found),
    }


def _tell_plan(found: Sequence[Truth]) -> None:
    for truth in found:
        if truth.untrue:
            name = f"{truth.table}.{truth.column}"
            stale = truth.untrue - truth.disowned
            err.print(
                f"would take the hash from {truth.disowned:,} vectors of {name}, which stay "
                "readable, and replay them "
                f"with {stale:,} rows that are missing or stale",
                soft_wrap=True,
            )


def _print(found: Sequence[Truth], *, wide: bool = False) -> None:
    names = [name for name in FINDINGS if any(truth.count(name) for truth in found)]
    heads = [_title(name) for name in (*STATES, *names)]
    table = Grid("TABLE", "COLUMN", "ROWS", *heads, zeros=heads[1:], last=("COLUMN",), wide=wide)
    for truth in found:
        counts = (truth.rows, *(truth.count(name) for name in (*STATES, *names)))
        table.add_row(truth.table, truth.column, *map(number, counts))
    out.print(table)
    for truth in found:
        for name, keys in truth.samples.items():
            shown = " ".join(",".join(key) for key in keys)
            _line(f"{truth.table}.{truth.column}: {_title(name).lower()}: {shown}")
        _print_deep(truth)
    sentences = [
        truth.textless.sentence for truth in found if truth.textless and truth.textless.sentence
    ]
    for sentence in dict.fromkeys(sentences):
        out.print(f"warning: {sentence}", style="yellow", soft_wrap=True)
    style = "green" if all(truth.is_true for truth in found) else "red"
    out.print(verdict(found), style=style, soft_wrap=True)


def _print_deep(truth: Truth) -> None:
    if truth.deep is None:
        return
    name = f"{truth.table}.{truth.column}"
    lowest, mean = (_cosine(value) for value in (truth.deep.lowest_cosine, truth.deep.mean_cosine))
    _line(f"{name}: {truth.deep.checked:,} compared, lowest cosine {lowest}, mean {mean}")
    for row in truth.deep.untrue:
        _line(
            f"{name}: row {','.join(row.key)} has another vector than its text makes: cosine "
            f"{_cosine(row.cosine)}"
        )
    for count, what in (
        (truth.deep.skipped, "changed meanwhile"),
        (truth.deep.refused, "not taken by the model now"),
    ):
        if count:
            _line(f"{name}: {count:,} not compared: {what}")


def _line(text: str) -> None:
    out.print(text, soft_wrap=True)


def _title(name: str) -> str:
    return name.upper().replace("_", "-")


def _cosine(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"
