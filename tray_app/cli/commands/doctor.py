"""`lamplighter doctor`: what works on this desktop and what does not, each with its remedy."""

from __future__ import annotations

import asyncio
import json

import click

from tray_app.base.paths import found_places


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(*, as_json: bool) -> int:
    """Tell what works here and what does not, and what to do about it. Exit code 1 where something failed."""
    from tray_app.interfaces.doctor.examination import all_is_well, examine, report_json, report_lines
    from tray_app.interfaces.doctor.finding import Verdict

    findings = asyncio.run(examine(found_places()))
    if as_json:
        click.echo(json.dumps(report_json(findings), indent=1))
    else:
        colours = {Verdict.OK: "green", Verdict.CANNOT: "red", Verdict.SKIPPED: "bright_black"}
        for verdict, line in report_lines(findings):
            click.echo(click.style(line, fg=colours[verdict]) if verdict else line)
    return 0 if all_is_well(findings) else 1
