"""`vectrue model`: fetch, describe and check the weights that make the vectors.

Hazard: `pull` is the only command that downloads weights (2.3 GB for bge-m3); a worker
never does.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from connectors.clock import SystemClock
from connectors.models import describe_model, fetch_model, named, open_model, place_model
from connectors.models.placement import Placement
from connectors.postgres.setup import schema
from schemas.reports.model_record import ModelRecord
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.cli.arguments import open_session
from streams.cli.formatting import UNKNOWN, size
from streams.cli.screen.output import Format, OutputOption, err, out, print_exactly, print_json
from streams.cli.screen.tables import Grid
from streams.evaluation import model_check
from streams.evaluation.model_check import Checked

app = typer.Typer(help="The model that makes the vectors.", no_args_is_help=True)

_WIDTH = 14
Known = Sequence[tuple[ModelRecord, list[str]]]
"""Models, each with the columns that want it."""

_LABELS = {"load_peak": "while loading", "batch": "largest batch"}
NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="another model than model.name")
]
RevisionOption = Annotated[
    str | None,
    typer.Option(
        "--revision", help="commit, tag or branch of its repository; by default model.revision"
    ),
]


@app.command()
def pull(
    ctx: typer.Context,
    name: NameArgument = None,
    revision: RevisionOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Download the model into the local cache, if it is not there, and print its folder.

    It checks the free disk space first, continues an interrupted download where it
    stopped, and fetches only what loading needs. HF_HOME (where to), HF_ENDPOINT (from where),
    HF_TOKEN, HF_HUB_OFFLINE, HTTPS_PROXY and NO_PROXY are honoured.

    For example:

        vectrue model pull
        vectrue model pull intfloat/multilingual-e5-large --revision main
    """
    settings = _settings(ctx).model
    wanted = named(settings, name or settings.name, revision)
    got = fetch_model(wanted)
    _tell_pulled(wanted, got.fetched, got.location is not None)
    # Without a revision the next download may bring other weights.
    if got.fetched and wanted.revision is None and got.commit is not None and name:
        err.print(f'pin it: model.name = "{name}", model.revision = "{got.commit}"')
    if output is Format.JSON:
        print_json(asdict(got))
    elif got.location is not None:
        # Exactly, since a script takes the path: nothing in it is written out or folded.
        print_exactly(f"{got.location}\n")


@app.command()
def info(
    ctx: typer.Context,
    name: NameArgument = None,
    revision: RevisionOption = None,
    known: Annotated[
        bool,
        typer.Option("--known", help="also list the models that the database knows; asks Postgres"),
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show the model: its id, dimensions, token limit, sizes, where its weights are,
    and how it would run here.

    With --known also every model that was ever wanted in this database, by the id that
    is stored beside each vector, and the vector columns that want it now.

    For example:

        vectrue model info
        vectrue model info multilingual-e5-small -o json
    """
    settings = _settings(ctx)
    wanted = named(settings.model, name or settings.model.name, revision)
    facts = describe_model(wanted)
    placement, sizes = place_model(wanted)
    described: dict[str, Any] = {**asdict(facts), **asdict(placement), **asdict(sizes)}
    # The record is what the database keeps; --known shows it.
    del described["record"]
    # The fix is part of `problem`.
    del described["fix"]
    described.update(batch_size=wanted.batch_size, low_memory=wanted.low_memory)
    # Only --known needs a database: the model is described without one.
    models: Known = schema.known_models(open_session(settings, "model")) if known else []
    if output is Format.JSON:
        if known:
            described["known"] = _known_json(models)
        print_json(described)
        return
    _print_info(described)
    if known:
        _print_known(models)


@app.command()
def check(
    ctx: typer.Context,
    name: NameArgument = None,
    revision: RevisionOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Load the model, embed three texts, search them, and check the vectors. Exit 1 if
    they cannot be trusted.

    Problems are: another number of dimensions, a length that is not 1, numbers that are
    not finite, one vector for different texts, another vector for a text alone than
    among others. Peak memory is measured, libraries included.

    For example:

        vectrue model check
        VECTRUE_MODEL__LOW_MEMORY=true vectrue model check
    """
    settings = _settings(ctx).model
    wanted = named(settings, name or settings.name, revision)
    clock = SystemClock()
    checked = model_check.check(open_model(wanted, clock), clock)
    placement, _ = place_model(wanted)
    if output is Format.JSON:
        print_json({**checked.to_json(), **asdict(placement)})
    else:
        _print_checked(wanted, checked, placement)
    if not checked.ok:
        raise typer.Exit(1)


def _tell_pulled(wanted: ModelSettings, fetched: bool, present: bool) -> None:
    if fetched:
        err.print(f"{wanted.name} was fetched")
    else:
        why = "is here" if present else "has no weights"
        err.print(f"nothing to fetch: {wanted.name} {why}")


def _print_info(described: dict[str, Any]) -> None:
    shown = dict(described)
    for key in ("device", "dtype"):
        shown[key] = f"{shown[key]} ({shown.pop(f'{key}_why')})"
    for name, value in shown.items():
        key = name.removesuffix("_bytes")
        text = size(value) if key != name else _shown(value)
        _line(_LABELS.get(key, key.replace("_", " ")), text)


def _print_checked(wanted: ModelSettings, checked: Checked, placement: Placement) -> None:
    # Its hits look like those of a model, and are not.
    if wanted.name == "lexical":
        err.print("lexical stand-in: finds texts that share words, not meanings")
    _line("model", checked.model_id)
    _line(
        "loaded",
        f"in {checked.load_seconds:.2f} s on {placement.device} in {placement.dtype}",
    )
    _line("dimensions", checked.dimensions)
    _line("shape", _shown(checked.shape))
    if checked.encode_seconds is not None:
        texts = len(model_check.TEXTS)
        _line("embedded", f"{texts} texts and a query in {checked.encode_seconds:.2f} s")
    if checked.shortest is not None:
        _line("length", f"{checked.shortest:.6f} to {checked.longest:.6f}")
    memory = size(checked.peak_bytes)
    if checked.device_peak_bytes is not None:
        memory += f", and {size(checked.device_peak_bytes)} on the device"
    _line("peak memory", memory)
    if checked.hits:
        _line("query", checked.query)
    for similarity, text in checked.hits:
        out.print(f"  {similarity:.4f}  {text}")
    for problem in checked.problems:
        _line("problem", problem)
    _line("verdict", "ok" if checked.ok else "these vectors cannot be trusted")


def _known_json(models: Known) -> list[dict[str, Any]]:
    listed = []
    for record, wanted_in in models:
        listed.append({**record.to_json(), "wanted_in": wanted_in})
    return listed


def _print_known(models: Known) -> None:
    table = Grid("MODEL", "REVISION", "DIMENSIONS", "POOLING", "MAX-TOKENS", "WANTED-IN")
    for record, wanted_in in models:
        table.add_row(
            record.model,
            _shown(record.revision),
            _shown(record.dimensions),
            _shown(record.pooling),
            _shown(record.max_tokens),
            ", ".join(wanted_in) or UNKNOWN,
        )
    out.print()
    out.print(table)


def _settings(ctx: typer.Context) -> Settings:
    settings: Callable[[], Settings] = ctx.obj
    return settings()


def _line(name: str, value: object) -> None:
    out.print(f"{name:<{_WIDTH}}{value}")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return UNKNOWN if value is None else str(value)
