"""`vectrue score`: arguments and printing only.

The work is in streams/search and streams/evaluation.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from connectors.models import open_model
from schemas.errors import VectrueError
from schemas.reports.score import GRADES, Score, read_pairs
from schemas.settings.reading import Settings
from schemas.text_lines import decoded
from streams.cli.arguments import open_session
from streams.cli.formatting import key, percentage
from streams.cli.screen.output import Format, OutputOption, err, out, print_json, print_lines
from streams.cli.screen.tables import Grid
from streams.evaluation import calibrate as calibrations
from streams.evaluation import calibrate_plot
from streams.evaluation.calibrate import Calibration
from streams.search import score as scoring
from streams.search.search import Search

# Characters of a reference.
_SHOWN = 100


class ScoreGroup(TyperGroup):
    """`vectrue score ANSWER ...` is `vectrue score answer ANSWER ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the command `answer` where none is named."""
        # Also for options: `vectrue score --question 17 ...` is an answer.
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["answer", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ScoreGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Score an answer by a reference answer, or by the stored answers of a question.

    `vectrue score ANSWER --reference TEXT` and `vectrue score ANSWER --question 17` grade
    an answer (the command `answer`, which may be left out); `vectrue score calibrate
    FILE` proposes thresholds for your model.

    Above 0.85 an answer is excellent (우수한 답변입니다), above 0.70 good
    (좋은 답변입니다), else to be improved (답변을 보완해주세요). These are for bge-m3:
    two models do not share a scale, so the settings have thresholds for each model.
    """,
)


@app.command()
def answer(
    ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="ANSWER", help="the answer; `-` reads it from stdin")
    ],
    reference: Annotated[
        str | None, typer.Option("--reference", "-r", help="a reference answer")
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(
            "--question", "-q", help="compare with the nearest stored answer of this question"
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", help="SQL condition on stored answers; by default score.where"),
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Score ANSWER: similarity to the reference, score (similarity × 100), grade.

    The section [score] says where the stored answers are, and which of them are good
    enough to be references.

    For example:

        vectrue score "GIL은 락입니다." --reference "GIL은 한 번에 하나의 스레드만..."
        vectrue score "GIL은 락입니다." --question 1 --where "score >= 85" -o json
    """
    if (reference is None) == (question is None):
        raise typer.BadParameter("give either --reference or --question")
    settings = ctx.obj()
    given = "".join(decoded(sys.stdin.buffer, "standard input")) if text == "-" else text
    if reference is not None:
        score = scoring.against_text(settings, given, reference)
    else:
        settings = _with_condition(settings, where)
        search = Search(settings, open_session(settings, "score"))
        score = scoring.against_stored(settings, search, given, str(question))
    if output is Format.JSON:
        print_json({"question": question, **score.to_json()})
    else:
        _print(score)


@app.command()
def calibrate(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="graded pairs, JSON Lines", exists=False)],
    plot: Annotated[
        Path | None, typer.Option("--plot", help="draw it into this file: .png, .svg, .pdf")
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Propose thresholds for the configured model, from pairs that a person has graded.

    A line of FILE is `{"answer": "...", "reference": "...", "grade": "excellent"}`, or
    "good", or "to be improved"; other fields are ignored. At least 10 pairs of each
    grade and 10 different references; 100 are better. Changes nothing: it prints the
    block for vectrue.toml, and how certain it is. No database is needed.

    For example:

        vectrue score calibrate examples/interview/graded.jsonl --plot scores.png
    """
    settings = ctx.obj()
    # A file name that cannot be plotted is found before the texts are embedded.
    if plot is not None:
        calibrate_plot.check(plot)
    pairs = read_pairs(_lines(file), name=str(file))
    calibrations.check(pairs)
    model = open_model(settings.model)
    found = calibrations.calibrate(pairs, model, scoring.thresholds(settings, model.record.name))
    if plot is not None:
        calibrate_plot.write(found, plot)
        err.print(f"plot: {plot}")
    if output is Format.JSON:
        print_json({"file": str(file), **found.to_json()})
    else:
        _print_calibration(found)


def _with_condition(settings: Settings, where: str | None) -> Settings:
    if where is None:
        return settings
    score = settings.score.model_copy(update={"where": where})
    return settings.model_copy(update={"score": score})


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise VectrueError(
            f"{file} cannot be read ({error.strerror})", fix="correct FILE"
        ) from error
    return list(decoded(lines, str(file)))


def _print(score: Score) -> None:
    marks = score.thresholds
    out.print(f"similarity  {score.similarity:.4f}")
    out.print(f"score       {score.score:.1f}/100")
    out.print(f"grade       {score.grade} ({score.grade.message})")
    if score.reference is not None:
        hit = score.reference
        # A text of several lines stands on one here.
        text = " ".join(hit.text.split())
        out.print(f"reference   {hit.table} {key(hit.key)}: {text[:_SHOWN]}")
    # On stderr, so that the score alone is on stdout.
    err.print(f"{score.model}: good above {marks.good:g}, excellent above {marks.excellent:g}")
    if not score.calibrated:
        err.print(
            "these thresholds are bge-m3's: vectrue score calibrate FILE proposes this model's"
        )


def _print_calibration(found: Calibration) -> None:
    shown = Grid("THRESHOLD", "ABOVE", "95 % INTERVAL")
    for name, value, interval in (
        ("excellent", found.thresholds.excellent, found.excellent),
        ("good", found.thresholds.good, found.good),
    ):
        shown.add_row(name, f"{value:.4f}", f"{interval.low:.4f} to {interval.high:.4f}")
    out.print(shown)
    out.print()
    headings: list[str] = []
    for grade in GRADES:
        headings.append(str(grade).upper())
    confusion = Grid("GRADED BY HAND", *headings)
    for grade, counts in zip(GRADES, found.confusion, strict=True):
        confusion.add_row(str(grade), *map(str, counts))
    out.print(confusion)
    out.print("(columns: by thresholds that were set without the pair's reference)")
    out.print()
    out.print(
        f"{len(found.labels)} pairs; the thresholds in force grade {percentage(found.current)} "
        "of them as the person did"
    )
    out.print(found.verdict)
    out.print()
    print_lines(found.settings)
