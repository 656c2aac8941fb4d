"""What a person must say yes to: what costs money, and the end of a mesh that is another's."""

import importlib
import sys
from typing import TYPE_CHECKING

import click

from isthmus.cli import terminal
from isthmus.errors import Usage

if TYPE_CHECKING:
    from isthmus.environment import Environment

ANOTHERS = "Whoever built it keeps its file and its CA, and finds clusters without a mesh."
GONE = "Nothing of them can be had back."
PRICES = "Isthmus knows no prices: look in the cloud's console. Load balancers come on top."


def ready(environment: "Environment") -> None:
    """Make the cloud's credentials readable for this command, be they in a block of Prefect's."""
    if environment.provider == "kce" and environment.kce.credentials_block:
        from isthmus.cli import prefect_setup

        prefect_setup.connect()
        blocks = importlib.import_module("tasks.prefect_blocks")
        click.get_current_context().with_resource(blocks.readable())


def confirm_purchase(environment: "Environment", typed: str, yes: bool) -> bool:
    """Show what `up` would buy and delete; tell whether a person had to say yes, and did.

    Raises Usage if nobody did.
    """
    from isthmus import environment_store, providers

    if seller := providers.seller_of(environment):
        again = f"isthmus up {typed} --yes"
        leaving = seller.to_release(environment, environment_store.leavers(environment))
        parted = _confirm(leaving, "delete", GONE, again, yes)
        return _confirm(seller.to_buy(environment), "buy", PRICES, again, yes) or parted
    return False


def confirm_deletion(environment: "Environment", typed: str, yes: bool) -> bool:
    """Show what `down` would delete in a cloud, or another home's mesh that it would take away.

    Tells whether a person had to say yes, and did. Raises Usage if nobody did.
    """
    from isthmus import ownership, providers

    again = f"isthmus down {typed} --yes"
    if seller := providers.seller_of(environment):
        return _confirm(seller.to_delete(environment), "delete", GONE, again, yes)
    if providers.of(environment).disposable:
        return False
    lines = ownership.built_elsewhere(environment, ownership.reachable(environment))
    return _confirm(lines, "take away a mesh that another home built", ANOTHERS, again, yes)


def _confirm(lines: list[str], verb: str, note: str, again: str, yes: bool) -> bool:
    if not lines:
        return False
    terminal.say("\n".join([f"This will {verb}:", *(f"  - {line}" for line in lines), note]))
    if yes or (sys.stdin.isatty() and click.confirm("Go on?", err=True)):
        return True
    raise Usage(f"nothing was done: it would {verb}, and nobody said yes", hint=again)
