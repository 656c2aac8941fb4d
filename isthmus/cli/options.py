"""What verbs have in common on the command line: ENV, -o, --timeout, --wait, --color."""

import re
from typing import Any

import click

from isthmus.cli import terminal

SECONDS = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """A length of time such as 90s, 10m or 1h30m; seconds in the end."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; fails for anything else than numbers with s, m or h."""
        if isinstance(value, int | float):
            return float(value)
        parts = re.findall(r"(\d+)([smh])", value)
        total = sum(int(number) * SECONDS[unit] for number, unit in parts)
        if not total or "".join(map("".join, parts)) != value:
            self.fail(f"{value!r} is no duration such as 90s, 10m or 1h30m", param, ctx)
        return float(total)


def _choose(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value:
        terminal.choose_color(value)


class ServiceParam(click.ParamType[dict[str, Any]]):
    """A Service, with its port and a path if they are given."""

    name = "service"
    form = re.compile(
        r"((?P<protocol>http|tcp)://)?(?P<name>[^/:]+/[^/:]+)(:(?P<port>\d{1,5}))?(?P<path>/.*)?"
    )

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """Return the fields of a ServiceSpec; fails for anything else than such a text."""
        if isinstance(value, dict):
            return value
        if not (found := self.form.fullmatch(value)):
            self.fail(f"{value!r} is no Service such as shop/cart or shop/cart:8080/healthz")
        fields = {name: text for name, text in found.groupdict().items() if text}
        return {**fields, **({"port": int(fields["port"])} if "port" in fields else {})}


environment = click.argument("env", metavar="ENV")

as_json = click.option(
    "-o",
    "--output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="How the result is printed.",
)

color = click.option(
    "--color",
    type=click.Choice(terminal.COLORS),
    expose_value=False,
    is_eager=True,
    callback=_choose,
    help="Colours: auto (on a terminal, unless NO_COLOR is set), always or never.",
)

timeout = click.option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    help="Give up after this long (90s, 10m, 1h): exit 75, run again to go on.  [default: never]",
)

yes = click.option(
    "--yes",
    is_flag=True,
    help="Do not ask before clusters are bought or deleted, or another's mesh is deleted.",
)

services = click.option(
    "--service",
    "services",
    type=ServiceParam(),
    multiple=True,
    metavar="NS/NAME",
    help="Prove this Service, too: [tcp://]NS/NAME[:PORT][/PATH]; may be repeated.",
)

accept_checksum = click.option(
    "--accept-checksum",
    is_flag=True,
    help="Download the programs; where no checksum is known, accept and pin the file's.",
)

wait = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Stay until the end, or start in the background and return.",
)
