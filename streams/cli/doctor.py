"""`vectrue doctor`: arguments and printing only; the checks are in streams/operations."""

from collections.abc import Sequence
from typing import Any

import typer

from connectors.clock import SystemClock
from schemas import command
from schemas.errors import ConfigurationError
from schemas.health.check_result import CheckResult, Level, problem, settle
from streams.cli.formatting import counted
from streams.cli.screen.output import Format, OutputOption, out, print_json, styled
from streams.cli.screen.tables import Grid
from streams.operations import doctor as doctors

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red", Level.UNKNOWN: "dim"}


def doctor(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Check every precondition: one line each, with the command that fixes it. Changes
    nothing.

    From the settings and the model through Postgres (rights, tables, publication, slot)
    and Kafka (topics, workers) to the connector. It connects as the workers do
    (postgres.dsn) and needs no more rights than they have. `-` means that it could not
    be checked, or follows from a problem of another line, which is named: one cause is
    counted once.

    Exit code: 0 without a problem (warnings do not count), 1 with one.

    For example:

        vectrue doctor
        vectrue doctor -o json
    """
    try:
        findings = settle(doctors.examine(ctx.obj(), SystemClock()))
    # The settings themselves are wrong, which is one more precondition.
    except ConfigurationError as error:
        findings = [problem("settings", error.message, error.fix)]
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if output is Format.JSON:
        _print_json(findings, problems)
    else:
        _print(findings, problems)
    raise typer.Exit(1 if problems else 0)


def _print_json(findings: Sequence[CheckResult], problems: int) -> None:
    lines: list[dict[str, Any]] = []
    for finding in findings:
        lines.append(finding.to_json())
    print_json({"findings": lines, "problems": problems})


def _print(findings: Sequence[CheckResult], problems: int) -> None:
    table = Grid("STATUS", "CHECK", "FINDING")
    warnings = 0
    for finding in findings:
        level = styled(finding.level, _STYLES[finding.level])
        table.add_row(level, finding.check, command.completed(_sentence(finding)))
        warnings += finding.level is Level.WARNING
    out.print(table)
    style = "yellow" if warnings else "green"
    out.print(
        f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}",
        style="red" if problems else style,
    )


def _sentence(finding: CheckResult) -> str:
    sentence = finding.sentence
    if finding.fix is not None:
        sentence += f": {finding.fix}"
    if finding.cause:
        sentence += f" (follows from: {finding.cause})"
    return sentence
