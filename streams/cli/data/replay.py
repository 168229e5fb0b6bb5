"""`vectrue replay`: arguments and printing only; the work is in streams/replay."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import typer

from connectors.clock import SystemClock
from connectors.kafka import topics
from connectors.kafka.outbox import KafkaOutbox
from connectors.kafka.rights import Right
from connectors.postgres.session import Session
from schemas.settings.reading import Settings
from streams.cli.arguments import open_session
from streams.cli.data import replay_options as options
from streams.cli.data.replay_options import (
    STDIN,
    ChunkOption,
    ForceOption,
    KeysOption,
    LagOption,
    OnlyOption,
    RateOption,
    RunArgument,
    SinceOption,
    TablesOption,
    WhereOption,
)
from streams.cli.screen import replay_page as page
from streams.cli.screen.confirmation import MANY_ROWS, YesOption, require_confirmation
from streams.cli.screen.output import Format, OutputOption, err, out, print_json
from streams.cli.screen.replay_plan_page import show_named, show_plan, show_since
from streams.cli.screen.replay_progress import RunProgress
from streams.common import targets as target_rules
from streams.replay import keys as replay_keys
from streams.replay import plan as replay_plan
from streams.replay import vacuum as replay_advice
from streams.replay.control import Control
from streams.replay.keys import Named
from streams.replay.prepared import Prepared
from streams.replay.run import Replay

app = typer.Typer(
    no_args_is_help=True, help="Re-embed rows by command: all of them, or those that need it."
)


@app.command()
def plan(
    ctx: typer.Context,
    only: OnlyOption = None,
    table: TablesOption = None,
    where: WhereOption = None,
    since: SinceOption = None,
    force: ForceOption = False,
    keys: KeysOption = None,
    rate: RateOption = None,
    max_live_lag: LagOption = None,
    chunk: ChunkOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="count large tables instead of sampling them")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say what a run would do and cost, and do nothing.

    It counts rows, those that are current already and those to embed, and estimates
    their texts, messages, time by the rate last measured, WAL, disk and the effect on
    live changes. `-` means unknown.

    For example:

        vectrue replay plan
        vectrue replay plan --only all --force -t public.questions --exact
        vectrue replay plan --where "lang = 'ko'" -o json | jq .columns[0].to_embed
        vectrue replay plan -t questions --keys ids.txt
    """
    settings = ctx.obj()
    request = options.request(only, where, since, force, keys, rate, max_live_lag, chunk)
    session = open_session(settings, "replay")
    replay = _replay(settings, session)
    with options.lines(keys) as lines:
        prepared = replay.prepare(request, table or [], exact=exact)
        named = _named(prepared, keys)
        if named is not None:
            counted = replay_keys.survey(session, prepared.targets, lines, named)
            prepared = replace(prepared, surveys=counted)
    _plan(settings, session, prepared, output, named)


@app.command()
def run(
    ctx: typer.Context,
    only: OnlyOption = None,
    table: TablesOption = None,
    where: WhereOption = None,
    since: SinceOption = None,
    force: ForceOption = False,
    keys: KeysOption = None,
    rate: RateOption = None,
    max_live_lag: LagOption = None,
    chunk: ChunkOption = None,
    follow: Annotated[
        bool, typer.Option("--follow/--detach", help="watch to the end, or leave once all is sent")
    ] = True,
    yes: YesOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Send rows through the replay lane and follow until all are handled.

    It prints its plan first, and asks before it embeds more than 100,000 rows. Rows
    whose vector is already right cost no model time (unless --force), so a replay may be
    repeated at will. To finish a replay that was interrupted (this command, a worker, a
    machine), run the command again; for one over --keys, once they are read, run
    `vectrue replay resume`. At least one replay worker must run: `vectrue worker`, or
    `vectrue worker --role replay`.

    Ctrl-C ends only the watching. A second run over a table is refused while one is
    unfinished, unless it is about another vector column; one that the keeper began ends
    where yours begins. A line of --keys is a key, or a JSON array for a key of several
    columns; keys that match no row are counted and listed, repeats are left out.

    Exit code 0 only if afterwards every row of the run is current or blank.

    For example:

        vectrue replay run                       fill what is missing or stale
        vectrue replay run --only all --force -t public.questions --rate 200/s --detach
        vectrue replay run --where "lang = 'ko'" --max-live-lag 30s
        vectrue replay run --only all --force --since 2d --rate 30/m
        psql -Atc "SELECT id FROM questions WHERE ..." | vectrue replay run -t questions --keys -
        vectrue replay run -o json | jq .ok
    """
    settings = ctx.obj()
    request = options.request(only, where, since, force, keys, rate, max_live_lag, chunk)
    # Without this right the run would begin, and its command fail at the first send.
    topics.require_rights(settings, [Right("topic", settings.replay_topic, "WRITE")], [])
    session = open_session(settings, "replay")
    replay = _replay(settings, session)
    run_id: UUID | None = None
    try:
        with options.lines(keys) as lines:
            prepared = replay.prepare(request, table or [])
            named = _named(prepared, keys)
            if prepared.surveys:
                _require_consent(settings, session, prepared, yes=yes)
            # Keys are read while the run begins, so the file is still open here.
            run_id = replay.begin_keys(prepared, lines, named) if named else replay.begin(prepared)
        show_named(named)
        if run_id is not None:
            resumed = prepared.unfinished is not None
            page.announce(run_id, resumed)
            with RunProgress(lambda: replay_plan.members(settings)[0]) as progress:
                replay.feed(run_id, progress.show, everything=resumed)
                if not follow:
                    _detached(run_id, output, named)
                    return
                replay.follow(run_id, progress.show)
        outcome = replay.outcome(run_id, prepared, named)
    except KeyboardInterrupt:
        _leave(run_id, keys)
        raise typer.Exit(130) from None
    # Many dead row versions are left only where rows were written.
    if run_id:
        for advice in replay_advice.after(session, prepared.targets):
            err.print(advice)
    if output is Format.JSON:
        print_json(outcome.to_json())
    else:
        page.show_outcome(outcome)
    raise typer.Exit(0 if outcome.is_true else 1)


@app.command()
def status(
    ctx: typer.Context,
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="its id or the beginning of it")
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show runs, from any shell on any host: the unfinished ones and the last few
    others, or one.

    A run that does not move says why: `waiting: live lag 41s > 30s`.

    For example:

        vectrue replay status
        vectrue replay status 3f2a -o json | jq '.[0].columns[0].done'
    """
    statuses = _control(ctx).statuses(run_id)
    if output is Format.JSON:
        runs: list[dict[str, Any]] = []
        for one in statuses:
            runs.append(one.to_json())
        print_json(runs)
    elif statuses:
        page.show_statuses(statuses, wide=output is Format.WIDE)
    else:
        out.print("no replay was run yet: vectrue replay plan")


@app.command()
def pause(ctx: typer.Context, run_id: RunArgument = None) -> None:
    """Stop work on a run after the micro-batches in hand. Other runs go on; rows that
    are done stay done.

    For example:

        vectrue replay pause
        vectrue replay pause 3f2a
    """
    found = _control(ctx).pause(run_id)
    err.print(f"run {found.run} is paused: vectrue replay resume {found.run}")


@app.command()
def resume(ctx: typer.Context, run_id: RunArgument = None) -> None:
    """Continue a paused run, or one whose command is gone: enumerate and send its rest.
    Does not follow it.

    The only way to continue a run over --keys, or over rows that `vectrue dlq redrive`
    took out of quarantine.

    For example:

        vectrue replay resume
        vectrue replay resume 3f2a && vectrue replay status 3f2a
    """
    settings = ctx.obj()
    session = open_session(settings, "replay")
    found = Control(session, settings).resume(run_id, _replay(settings, session))
    err.print(f"run {found.run} goes on: vectrue replay status {found.run}")


@app.command()
def cancel(ctx: typer.Context, run_id: RunArgument = None) -> None:
    """End a run: its remaining chunks are skipped, rows already done stay done.

    For example:

        vectrue replay cancel 3f2a
    """
    err.print(f"run {_control(ctx).cancel(run_id).run} is cancelled")


@app.command("set")
def set_(
    ctx: typer.Context,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN] [rate=200/s] [max-live-lag=30s]", help="as the options"),
    ] = None,
    rate: RateOption = None,
    max_live_lag: LagOption = None,
) -> None:
    """Change the limits of a run while it runs, written as `run` takes them; `none`
    lifts one.

    For example:

        vectrue replay set rate=200/s
        vectrue replay set --rate 200/s
        vectrue replay set 3f2a rate=none max-live-lag=30s
    """
    run_id, items = _split(values or [])
    limits = options.limits(items, rate, max_live_lag)
    found = _control(ctx).limit(run_id, limits)
    words = []
    for name, value in limits.items():
        words.append(page.rate_limit(value) if name == "rate" else page.lag_limit(value))
    err.print(f"run {found.run}: {', '.join(words)}")


def _split(values: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Part the run's id, which may be left out, from the limits."""
    # A limit has a `=`, and no id of a run has one.
    if values and "=" not in values[0]:
        return values[0], values[1:]
    return None, values


def _require_consent(
    settings: Settings, session: Session, prepared: Prepared, *, yes: bool
) -> None:
    to_embed = _plan(settings, session, prepared, Format.TABLE).to_embed
    if to_embed > MANY_ROWS:
        require_confirmation(f"Embed {to_embed:,} rows?", yes=yes)


def _named(prepared: Prepared, keys: str | None) -> Named | None:
    if keys is None:
        return None
    return Named(STDIN if keys == "-" else keys, str(prepared.targets[0].table))


def _plan(
    settings: Settings,
    session: Session,
    prepared: Prepared,
    output: Format,
    named: Named | None = None,
) -> replay_plan.ReplayPlan:
    if prepared.unfinished is not None:
        err.print(f"run {prepared.unfinished.run} is not finished; `replay run` goes on with it")
    made = replay_plan.plan(settings, session, prepared, named)
    show_since(prepared.request.since, SystemClock().now())
    show_named(named)
    if output is Format.JSON:
        print_json(made.to_json())
    else:
        show_plan(made)
    return made


def _detached(run_id: UUID, output: Format, named: Named | None) -> None:
    err.print(f"all is sent; the workers do the rest: vectrue replay status {run_id}")
    if output is Format.JSON:
        keys = named.to_json() if named else None
        print_json({"run": str(run_id), "state": "running", "keys": keys})


def _leave(run_id: UUID | None, keys: str | None) -> None:
    if run_id is None:
        err.print("stopped before anything was sent")
        return
    err.print(
        "no longer watched: the workers go on with what was sent; stop them: vectrue replay "
        f"pause {run_id}"
    )
    # Keys from standard input cannot be read again: the ledger has them.
    if keys:
        err.print(f"`vectrue replay resume {run_id}` takes it up again")
    else:
        err.print("`vectrue replay run` with the same options takes it up again")


def _control(ctx: typer.Context) -> Control:
    settings = ctx.obj()
    return Control(open_session(settings, "replay"), settings)


def _replay(settings: Settings, session: Session) -> Replay:
    outbox = KafkaOutbox(settings, target_rules.standing(settings, session))
    return Replay(settings, session, outbox, SystemClock())
