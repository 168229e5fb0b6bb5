"""`vectrue doctor`: arguments and printing only; the looking is in
streams/operations/doctor.py.
"""

import typer

from connectors.clock import SystemClock
from schemas import command
from schemas.errors import ConfigurationError
from schemas.health.check_result import CheckResult, Level, problem, settle
from streams.cli.screen.output import Format, OutputOption, out, print_json, styled
from streams.cli.screen.tables import Grid
from streams.operations import doctor as doctors

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red", Level.UNKNOWN: "dim"}


def doctor(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Look at every precondition: one line each, with the command that mends it.
    Changes nothing.

    From the settings and the model through Postgres (rights, tables, publication, slot)
    and Kafka (topics, workers) to the connector. It connects as the workers do
    (postgres.dsn) and needs no more rights than they have. `-` means that it could not
    be looked at, or is as it is because of a problem of another line, which is named:
    one cause is counted once, whatever follows from it.

    Exit code: 0 without a problem (warnings do not count), 1 with one.

    For example:

        vectrue doctor
        vectrue doctor -o json
    """
    try:
        findings = settle(doctors.examine(ctx.obj(), SystemClock()))
    except ConfigurationError as error:  # the settings themselves
        findings = [problem("settings", error.message, error.fix)]
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if output is Format.JSON:
        print_json({"findings": [finding.to_json() for finding in findings], "problems": problems})
    else:
        _print(findings, problems)
    raise typer.Exit(1 if problems else 0)


def _print(findings: list[CheckResult], problems: int) -> None:
    table = Grid("STATUS", "CHECK", "FINDING")
    for finding in findings:
        said = finding.sentence if finding.fix is None else f"{finding.sentence}: {finding.fix}"
        said += f" (follows from: {finding.cause})" if finding.cause else ""
        table.add_row(
            styled(finding.level, _STYLES[finding.level]), finding.check, command.completed(said)
        )
    out.print(table)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    style = "red" if problems else "yellow" if warnings else "green"
    out.print(f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}", style=style)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
