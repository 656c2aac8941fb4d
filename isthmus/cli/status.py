"""The verb that looks: status."""

import sys
from typing import TYPE_CHECKING

import click
from rich.text import Text

from isthmus.cli import confirm, environment_argument, options, terminal

if TYPE_CHECKING:
    from isthmus.environment import Environment


@click.command(short_help="Look at ENV; nothing is changed.")
@options.environment
@options.as_json
@options.color
@click.option("--steps", is_flag=True, help="Show what took how long in the last run instead.")
@click.option(
    "--watch",
    is_flag=True,
    help="Look again and again: what is true, since when, and the last change; Ctrl-C ends it.",
)
@click.option(
    "--interval",
    type=options.Duration(),
    metavar="DURATION",
    default="10s",
    show_default=True,
    help="With --watch: time from one look to the next.",
)
def status(env: str, output: str, steps: bool, watch: bool, interval: float) -> None:
    """Show whether each cluster of ENV is reachable, federated, wired, its gateway ready.

    Nothing is changed.
    """
    environment = environment_argument.find(env)
    environment_argument.require_built(environment, env)
    if steps:
        return _show_steps(environment, env, output)
    confirm.read_cloud_credentials(environment)
    from isthmus.cli import status_look, status_watch

    if watch:
        return status_watch.watch(
            lambda: status_look.look(environment, env, remember=True), output, interval
        )
    seen = status_look.look(environment, env)
    if output == "json":
        terminal.document("Status", seen.document())
    else:
        terminal.show_lines(seen.lines())
    if seen.failure:
        raise seen.failure


def _show_steps(environment: "Environment", env: str, output: str) -> None:
    from isthmus.cli import bar_chart, run_history

    last = run_history.last(environment.name)
    if last is None:
        raise environment_argument.not_built(environment, env)
    if output == "json":
        return terminal.document("Run", last.document())
    terminal.show(bar_chart.chart(last, terminal.marks(sys.stdout)), Text(bar_chart.summary(last)))
