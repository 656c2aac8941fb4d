"""What a person must say yes to: what costs money, and the end of a mesh that is another's."""

import importlib
import sys
from typing import TYPE_CHECKING

import click

from isthmus.cli import terminal
from isthmus.errors import Usage

if TYPE_CHECKING:
    from isthmus.environment import Environment

OTHER_HOME_NOTE = (
    "Whoever built it keeps the environment file and the CA, and finds the clusters without Istio."
)
DELETION_NOTE = "They cannot be restored."
PRICES = "Isthmus knows no prices: look in the cloud's console. Load balancers come on top."


def read_cloud_credentials(environment: "Environment") -> None:
    """Make the cloud's credentials readable for this command, be they in a block of Prefect's."""
    if environment.provider == "kce" and environment.kce.credentials_block:
        from isthmus.cli import prefect_setup

        prefect_setup.connect()
        blocks = importlib.import_module("tasks.prefect_blocks")
        click.get_current_context().with_resource(blocks.read_secret_blocks())


def confirm_purchase(environment: "Environment", typed: str, yes: bool) -> bool:
    """Show what `up` would buy and delete; tell whether something was confirmed, here or by --yes.

    Raises Usage if nobody did.
    """
    from isthmus import environment_store, providers

    if seller := providers.get_paid_provider(environment):
        again = f"isthmus up {typed} --yes"
        removed = environment_store.removed_clusters(environment)
        leaving = seller.planned_releases(environment, removed)
        parted = _confirm(leaving, "delete", DELETION_NOTE, again, yes)
        return _confirm(seller.planned_purchases(environment), "buy", PRICES, again, yes) or parted
    return False


def confirm_deletion(environment: "Environment", typed: str, yes: bool) -> bool:
    """Show what `down` would delete in a cloud, or another home's mesh that it would take away.

    Tells whether something was confirmed, here or by --yes. Raises Usage if it was not.
    """
    from isthmus import ownership, providers

    again = f"isthmus down {typed} --yes"
    if seller := providers.get_paid_provider(environment):
        return _confirm(seller.planned_deletions(environment), "delete", DELETION_NOTE, again, yes)
    if providers.get_provider(environment).disposable:
        return False
    lines = ownership.built_elsewhere(environment, ownership.reachable(environment))
    return _confirm(
        lines, "delete a mesh that another ISTHMUS_HOME built", OTHER_HOME_NOTE, again, yes
    )


def _confirm(lines: list[str], verb: str, note: str, again: str, yes: bool) -> bool:
    if not lines:
        return False
    terminal.print_message(
        "\n".join([f"This will {verb}:", *(f"  - {line}" for line in lines), note])
    )
    if yes or (sys.stdin.isatty() and click.confirm("Go on?", err=True)):
        return True
    raise Usage(f"not confirmed, nothing was done: it would {verb}", hint=again)
