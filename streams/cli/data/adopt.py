"""`vectrue adopt`: arguments and printing only; the work is in streams/audit/adopt.py."""

import secrets
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.postgres.audit.adoption import Adoption
from connectors.postgres.session import Session
from schemas.reports.adoption import OBSTACLES, Candidates, verdict
from schemas.reports.audit_report import SAMPLES
from schemas.settings.reading import Settings
from streams.audit.adopt import Adopt, require_proof
from streams.cli.screen.output import (
    Format,
    OutputOption,
    confirm,
    count_or_all,
    counting_bars,
    err,
    number,
    out,
    print_json,
)
from streams.cli.screen.tables import Grid
from streams.common import embedders
from streams.replay import vacuum as replay_advice


def adopt(
    ctx: typer.Context,
    table: Annotated[
        list[str], typer.Option("--table", "-t", help="a configured table; may be repeated")
    ],
    model: Annotated[
        str, typer.Option("--model", help="id or name of the model that you say made the vectors")
    ],
    sample: Annotated[
        str, typer.Option(metavar="N|all", help="embed N random rows per table again, and compare")
    ] = "100",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="count and compare, change nothing")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="draw the same rows as another time")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Believe vectors that your application made with the wanted model, instead of
    making them again.

    For rows that had vectors before `vectrue init`: a vector, a text, and nothing that
    says what the vector was made from. A random sample is embedded again; if one cosine
    is under 0.999, nothing is changed and the exit code is 1. Else hash, model and time
    are written beside every such vector, in short transactions; vectors are not
    touched. What the model cannot have made (another length, not of unit length, not
    finite) is left to `vectrue replay run`.

    **You** say which model it was, and that each vector was made from the text that
    stands beside it. A text that was edited without a new vector before `vectrue init`
    looks like any other row, and only a sample that happens to hold it finds it;
    --sample all compares every row. Edits since `vectrue init` are no danger: the
    command waits until the live worker has handled them, and leaves alone what is
    written while it runs.

    Run it after `vectrue init` and before a replay worker, whose keeper would embed
    these rows: until then `vectrue worker --role live` is enough. Interrupted or
    killed, call it again: it goes on with the rest.

    For example:

        vectrue adopt -t public.questions --model BAAI/bge-m3 --dry-run
        vectrue adopt -t public.questions -t public.answer_bank --model BAAI/bge-m3 --sample 1000
        vectrue adopt -t public.questions --model BAAI/bge-m3 --yes -o json | jq .adopted
    """
    count = count_or_all(sample, "--sample")
    settings: Settings = ctx.obj()
    session, clock = (
        Session(settings.postgres.dsn, role="adopt", prefix=settings.kafka.topic_prefix),
        SystemClock(),
    )
    work = Adopt(
        settings,
        Adoption(settings.postgres, prefix=settings.kafka.topic_prefix),
        session,
        clock,
        tables=table,
        model=model,
    )
    models = embedders.for_targets(settings, session, work.targets)
    draw = secrets.randbits(31) if seed is None else seed
    found = work.look(KafkaOffsets(settings, clock), _tell)
    with counting_bars("compare") as bars:
        found = work.sample(found, models, count, draw, bars)
    proven = all(candidates.is_proven for candidates in found)
    if proven and not dry_run and _agreed(found, yes):
        found = _stamp(work, found)
        for advice in replay_advice.after(session, work.targets):
            _tell(advice)
    ok = proven and all(candidates.is_done for candidates in found)
    if output is Format.JSON:
        adopted = (
            None if any(c.adopted is None for c in found) else sum(c.adopted or 0 for c in found)
        )
        tables = [candidates.to_json() for candidates in found]
        print_json(
            {
                "tables": tables,
                "seed": draw,
                "adopted": adopted,
                "ok": ok,
                "verdict": verdict(found),
            }
        )
    else:
        _print(found)
    require_proof(found)
    raise typer.Exit(0 if ok else 1)


def _stamp(work: Adopt, found: Sequence[Candidates]) -> list[Candidates]:
    try:
        with counting_bars("adopt") as bars:
            return work.stamp(found, bars)
    except KeyboardInterrupt:
        _tell("what was adopted stays adopted: call it again for the rest")
        raise


def _agreed(found: Sequence[Candidates], yes: bool) -> bool:
    rows = sum(candidates.adoptable for candidates in found)
    if rows == 0:
        return True
    for candidates in found:
        _describe(candidates)
    if yes or not (sys.stdin.isatty() and err.is_terminal):
        return True
    models = ", ".join(dict.fromkeys(candidates.model for candidates in found))
    return confirm(f"say of {rows:,} vectors that {models} made them?", abort=True)


def _describe(found: Candidates) -> None:
    if found.sample is None or found.may_differ is None:
        return
    if found.may_differ == 0:
        meant = "every row was compared"
    else:
        meant = f"with 95 % certainty at most {100 * found.may_differ:.2g} % of the vectors differ"
    _tell(
        f"{found.name}: {found.sample.checked:,} vectors made again, lowest cosine "
        f"{_cosine(found.sample.lowest_cosine)}: {meant}"
    )


def _print(found: Sequence[Candidates]) -> None:
    names = [name for name in OBSTACLES if any(c.counts.get(name) for c in found)]
    heads = ("TABLE", "COLUMN", "ADOPTABLE", "COMPARED", "LOWEST-COSINE", "ADOPTED")
    table = Grid(*heads, *(name.upper().replace("_", "-") for name in names))
    for c in found:
        table.add_row(
            c.table,
            c.column,
            number(c.adoptable),
            number(c.sample.checked if c.sample else None),
            _cosine(c.sample.lowest_cosine if c.sample else None),
            number(c.adopted),
            *(number(c.counts.get(name, 0)) for name in names),
        )
    out.print(table)
    for c in found:
        for row in c.sample.worst(SAMPLES) if c.sample else ():
            shown = f"cosine {_cosine(row.cosine)}"
            _line(
                f"{c.name}: row {','.join(row.key)} has another vector than its text makes: {shown}"
            )
        for key, reason in sorted(c.refused.items()):
            _line(f"{c.name}: row {','.join(key)} was not adopted: {reason}")
    style = "green" if all(c.is_proven and c.is_done for c in found) else "red"
    out.print(verdict(found), style=style, soft_wrap=True)


def _tell(line: str) -> None:
    err.print(line, soft_wrap=True)


def _line(text: str) -> None:
    out.print(text, soft_wrap=True)


def _cosine(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"
