"""`vectrue adopt`: arguments and printing only; the work is in streams/audit/adopt.py."""

import secrets
from collections.abc import Sequence
from typing import Annotated

import typer

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.postgres.audit.adoption import Adoption
from schemas.reports.adoption import OBSTACLES, Candidates, verdict
from schemas.reports.audit_report import SAMPLES
from schemas.settings.reading import Settings
from streams.audit.adopt import Adopt, require_proof
from streams.cli.arguments import count_or_all, open_session
from streams.cli.formatting import cosine, heading, key, number, percentage
from streams.cli.screen.bars import counting_bars
from streams.cli.screen.confirmation import YesOption, require_confirmation
from streams.cli.screen.output import Format, OutputOption, err, out, print_json
from streams.cli.screen.tables import Grid
from streams.common import embedders
from streams.replay import vacuum as replay_advice


def adopt(
    ctx: typer.Context,
    table: Annotated[
        list[str], typer.Option("--table", "-t", help="a configured table; may be repeated")
    ],
    model: Annotated[
        str, typer.Option("--model", help="id or name of the model that produced the vectors")
    ],
    sample: Annotated[
        str, typer.Option(metavar="N|all", help="embed N random rows per table again, and compare")
    ] = "100",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="count and compare, change nothing")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**31 - 1, help="draw the same random rows as an earlier run"),
    ] = None,
    yes: YesOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Keep vectors that your application made with the wanted model, instead of embedding
    the rows again.

    For rows that had vectors before `vectrue init`: a vector, a text, and nothing that
    says what the vector was made from. A random sample is embedded again. If any cosine
    is below 0.999, it lists the worst rows, changes nothing and exits 1. Otherwise
    hash, model and time are written beside every such vector, in short transactions;
    vectors are not touched. What the model cannot have made (another length, not of
    unit length, not finite) is left to `vectrue replay run`.

    **You** state which model it was, and that each vector was made from the text beside
    it. A text that was edited without a new vector before `vectrue init` looks like any
    other row, and only a sample that happens to include it finds it; --sample all
    compares every row. Edits since `vectrue init` are safe: the command waits until the
    live worker has handled them, and skips what is written while it runs.

    Run it after `vectrue init` and before a replay worker, whose keeper would embed
    these rows: until then `vectrue worker --role live` is enough. If it is interrupted
    or killed, run it again: it continues with the rest.

    For example:

        vectrue adopt -t public.questions --model BAAI/bge-m3 --dry-run
        vectrue adopt -t public.questions -t public.answer_bank --model BAAI/bge-m3 --sample 1000
        vectrue adopt -t public.questions --model BAAI/bge-m3 --yes -o json | jq .adopted
    """
    count = count_or_all(sample, "--sample")
    settings: Settings = ctx.obj()
    session, clock = open_session(settings, "adopt"), SystemClock()
    adoption = Adoption(settings.postgres, prefix=settings.kafka.topic_prefix)
    work = Adopt(settings, adoption, session, clock, tables=table, model=model)
    models = embedders.for_targets(settings, session, work.targets)
    # The seed is part of the report, so that the same rows can be drawn again.
    draw = secrets.randbits(31) if seed is None else seed
    found = work.look(KafkaOffsets(settings, clock), err.print)
    with counting_bars("compare") as bars:
        found = work.sample(found, models, count, draw, bars)
    if not dry_run and all(candidates.is_proven for candidates in found):
        _require_consent(found, yes=yes)
        found = _stamp(work, found)
        for advice in replay_advice.after(session, work.targets):
            err.print(advice)
    if output is Format.JSON:
        _print_json(found, draw)
    else:
        _print(found)
    # After the report: a sample that disagrees is an error, and its rows are in the report.
    require_proof(found)
    raise typer.Exit(0 if _is_done(found) else 1)


def _is_done(found: Sequence[Candidates]) -> bool:
    return all(candidates.is_proven and candidates.is_done for candidates in found)


def _stamp(work: Adopt, found: Sequence[Candidates]) -> list[Candidates]:
    try:
        with counting_bars("adopt") as bars:
            return work.stamp(found, bars)
    except KeyboardInterrupt:
        # Each short transaction is committed by itself.
        err.print("what was adopted stays adopted: run it again for the rest")
        raise


def _require_consent(found: Sequence[Candidates], *, yes: bool) -> None:
    rows = 0
    # A dict keeps the order of the tables, and names a model once.
    names: dict[str, None] = {}
    for candidates in found:
        rows += candidates.adoptable
        names[candidates.model] = None
    if rows == 0:
        return
    for candidates in found:
        _describe(candidates)
    models = ", ".join(names)
    require_confirmation(f"Record {models} as the model that produced {rows:,} vectors?", yes=yes)


def _describe(found: Candidates) -> None:
    if found.sample is None or found.may_differ is None:
        return
    if found.may_differ == 0:
        meaning = "every row was compared"
    else:
        share = percentage(found.may_differ)
        meaning = f"with 95 % certainty at most {share} of the vectors differ"
    err.print(
        f"{found.name}: {found.sample.checked:,} vectors made again, lowest cosine "
        f"{cosine(found.sample.lowest_cosine)}: {meaning}"
    )


def _print_json(found: Sequence[Candidates], seed: int) -> None:
    adopted: int | None = 0
    for candidates in found:
        # Unknown for one table is unknown in all.
        if adopted is not None and candidates.adopted is not None:
            adopted += candidates.adopted
        else:
            adopted = None
    print_json(
        {
            "tables": [candidates.to_json() for candidates in found],
            "seed": seed,
            "adopted": adopted,
            "ok": _is_done(found),
            "verdict": verdict(found),
        }
    )


def _print(found: Sequence[Candidates]) -> None:
    obstacles = []
    for name in OBSTACLES:
        if any(candidates.counts.get(name) for candidates in found):
            obstacles.append(name)
    headings = ["TABLE", "COLUMN", "ADOPTABLE", "COMPARED", "LOWEST-COSINE", "ADOPTED"]
    for name in obstacles:
        headings.append(heading(name))
    table = Grid(*headings)
    for candidates in found:
        sample = candidates.sample
        cells = [
            candidates.table,
            candidates.column,
            number(candidates.adoptable),
            number(sample.checked if sample else None),
            cosine(sample.lowest_cosine if sample else None),
            number(candidates.adopted),
        ]
        for name in obstacles:
            cells.append(number(candidates.counts.get(name, 0)))
        table.add_row(*cells)
    out.print(table)
    for candidates in found:
        _print_rows(candidates)
    out.print(verdict(found), style="green" if _is_done(found) else "red")


def _print_rows(found: Candidates) -> None:
    for row in found.sample.worst(SAMPLES) if found.sample else ():
        out.print(
            f"{found.name}: row {key(row.key)} has another vector than its text makes: "
            f"cosine {cosine(row.cosine)}"
        )
    for values, reason in sorted(found.refused.items()):
        out.print(f"{found.name}: row {key(values)} was not adopted: {reason}")
