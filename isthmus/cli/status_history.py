"""Since when what `status` shows is so, and what changed last; kept beside the environment."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus import state

FILE_NAME = "status.json"
LONGEST_GAP = 600.0
"""Seconds without a look after which what is seen begins anew."""
GONE = "gone"
"""What has become of something that is no longer seen, as a finding that was mended."""


@dataclass(frozen=True)
class Observation:
    """One thing that is true now: `what` stays its name, `text` says how it is."""

    what: str
    text: str


@dataclass(frozen=True)
class Change:
    """What something was, and became."""

    at: float
    """Seconds since the epoch, when it was first seen so."""
    what: str
    before: str
    now: str


@dataclass(frozen=True)
class History:
    """Since when each thing is as it is, by looks alone: it may be so for longer."""

    since: dict[str, float]
    texts: dict[str, str]
    last: Change | None = None
    looked: float = 0.0
    """When the last look was; after LONGEST_GAP nobody knows what was in between."""

    def updated(
        self, seen: Sequence[Observation], now: float, unseen: Sequence[str] = ()
    ) -> "tuple[History, list[Change]]":
        """Return the history with this look in it, and what changed by it, causes first.

        Of what begins with one of `unseen` nothing can be said now: it stays as it was.
        """
        if now - self.looked > LONGEST_GAP:
            return History({}, {}, self.last, now)._with(seen, now), []
        kept = {w: t for w, t in self.texts.items() if w.startswith(tuple(unseen))}
        texts = kept | {each.what: each.text for each in seen}
        changes = [
            Change(now, what, self.texts.get(what, GONE), texts.get(what, GONE))
            for what in dict.fromkeys([*(each.what for each in seen), *texts, *self.texts])
            if self.texts and self.texts.get(what) != texts.get(what)
        ]
        since = {
            what: self.since.get(what, now) if self.texts.get(what) == text else now
            for what, text in texts.items()
        }
        return History(since, texts, changes[0] if changes else self.last, now), changes

    def _with(self, seen: Sequence[Observation], now: float) -> "History":
        texts = {each.what: each.text for each in seen}
        return History(dict.fromkeys(texts, now), texts, self.last, now)


def load(name: str) -> History:
    """Return what earlier looks at an environment saw; nothing if there were none."""
    try:
        found: dict[str, Any] = json.loads(_path(name).read_text())
        last = Change(**found["last"]) if found["last"] else None
        return History(found["since"], found["texts"], last, found["looked"])
    except (OSError, ValueError, KeyError, TypeError):
        return History({}, {})


def save(name: str, history: History) -> None:
    """Keep it, if the environment has a folder here and its disk has room."""
    last = history.last and vars(history.last)
    told = {**vars(history), "last": last}
    with suppress(OSError):
        if state.folder(name).is_dir():
            state.write_private(_path(name), json.dumps(told))


def ago(seconds: float) -> str:
    """Return a length of time as a person says it."""
    for size, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _path(name: str) -> Path:
    return state.folder(name) / FILE_NAME
