"""Verifications, as a person and as a program get to see them."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from isthmus.cli import terminal

if TYPE_CHECKING:
    from isthmus.verification import Verification

VERIFIED = "verified: every region answers every other"


def show(verification: "Verification", output: str) -> None:
    """Print the verification on stdout; raises Findings if its verdict is `fail`."""
    passed = verification.verdict == "pass"
    if output == "json":
        terminal.document("Verification", verification.document())
        if passed:
            terminal.print_message(VERIFIED, "green")
    else:
        headline = Text(VERIFIED, "green") if passed else Text("not verified", "red")
        terminal.show(headline, _table(verification))
    verification.raise_for_findings()


def _table(verification: "Verification") -> Table:
    from isthmus.verification import table

    rows = table(verification)
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    shown = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*(row.get(heading, "") for heading in headings))
    return shown
