"""The negative control of a verification: a way is shut, which must be seen, and opened again."""

from typing import TYPE_CHECKING, Any

from isthmus.cli import terminal
from isthmus.errors import Findings, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from isthmus.environment import ClusterSpec, Environment
    from isthmus.verification import Verification

CAUSE = "F14"
"""What a diagnosis calls a gateway that gives no answer."""


def require_lab(environment: "Environment") -> None:
    """Raise Usage for clusters whose ports are not ours to close."""
    if environment.provider != "lab":
        raise Usage(
            "--control is for provider lab: it drops what comes to a region's gateway, and the "
            f"network of provider {environment.provider} is not ours to change",
            hint=f"isthmus verify {environment.name}",
        )


def run(environment: "Environment", verify: "Callable[[], Verification]", output: str) -> None:
    """Verify as it is, with one gateway's port closed, and opened again; print what was seen.

    Raises Findings if the mesh was red before, if the closed port was not seen or its cause not
    named, or if the mesh stayed red.
    """
    from isthmus.providers.lab.provider import closed_gateway
    from isthmus.stacks import load

    closed, port = environment.remotes[0], load(environment.stack).gateway.port
    before = verify()
    before.raise_for_findings()
    terminal.print_message(f"control: port {port} of {closed.name} gives no answer from now on")
    with closed_gateway(environment, closed, port):
        during = verify()
    terminal.print_message(f"control: port {port} of {closed.name} is open again")
    after = verify()
    missed = _missed(closed, during)
    _show(environment.name, closed, port, (before, during, after), missed, output)
    after.raise_for_findings()
    if missed:
        text = f"control: with port {port} of {closed.name} closed {missed}"
        raise Findings(text, hint=f"tell it: isthmus gather {environment.name}")


def _missed(closed: "ClusterSpec", during: "Verification") -> str:
    """Return what the verification did not see of the closed port; empty if it saw all."""
    if during.verdict == "pass":
        return "verify was green"
    first = next(iter(during.causes), None)
    if first is None:
        return f"verify was red, and named no cause: {during.first_finding}"
    if first.kind != CAUSE or closed.name not in first.text:
        return f"verify was red, and named another cause: {first.text.splitlines()[0]}"
    return ""


def _show(
    name: str,
    closed: "ClusterSpec",
    port: int,
    seen: "tuple[Verification, Verification, Verification]",
    missed: str,
    output: str,
) -> None:
    before, during, after = seen
    fields: dict[str, Any] = {
        "environment": name,
        "closed": {"cluster": closed.name, "port": port},
        "before": before.verdict,
        "during": during.document(),
        "after": after.verdict,
        "verdict": "fail" if missed or after.verdict == "fail" else "pass",
    }
    if output == "json":
        return terminal.document("Control", fields)
    terminal.print_result(
        f"before: {before.verdict}\n"
        f"port {port} of {closed.name} closed: {during.verdict}: {during.first_finding}\n"
        f"open again: {after.verdict}\n"
        f"control: {'not seen: ' + missed if missed else 'seen, and its cause named'}"
    )
