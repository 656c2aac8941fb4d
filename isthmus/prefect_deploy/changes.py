"""What deploying did to one thing on the server, for the person who deployed."""

from dataclasses import dataclass
from typing import Literal

ChangeAction = Literal["created", "changed", "unchanged", "removed", "left", "absent"]


@dataclass(frozen=True)
class Change:
    """One thing on the server, and what was done to it; names only, never a value."""

    kind: str
    name: str
    done: ChangeAction
    text: str = ""
    """What about it changed, or why it was left."""
    identity: str | None = None
    """Its identity on the server, by which pages are addressed."""


def make_change(
    kind: str,
    name: str,
    identity: object,
    changed: list[str],
    created: bool = False,
    stands_still: str = "",
) -> Change:
    """Return the change of a thing that was created, or of which these keys were changed.

    `stands_still` is why no run comes of it as it is, with what to do.
    """
    done: ChangeAction = "created" if created else "changed" if changed else "unchanged"
    text = "; ".join(filter(None, [", ".join(changed), stands_still]))
    return Change(kind, name, done, text, str(identity))
