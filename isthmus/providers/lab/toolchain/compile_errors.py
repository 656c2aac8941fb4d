"""What Go says when it fails, in the words of someone who has to do something about it."""

import re

from isthmus.adapters.golang import GoFailed
from isthmus.errors import IsthmusError, Rejected, Unprepared

MAX_ERROR_LINES = 12
"""Lines of a compiler's complaint that a person gets to see."""
SYMPTOMS = {
    "no space left on device": "the disk is full: free space (Go's own caches: go clean -cache)",
    "signal: killed": "the compiler was killed, most likely for want of memory: free some",
    "cannot allocate memory": "memory is short: free some",
    "module lookup disabled by GOPROXY=off": "let Go fetch modules: unset GOPROXY",
}
FETCH_FAILURE = re.compile(
    r"(?P<module>\S+@v\S+?): "
    r"(?P<why>.*(?:Get \"|reading |lookup |dial |EOF|timeout).*)"
)
"""A module that could not be fetched."""


def explained(verb: str, failure: GoFailed) -> IsthmusError:
    """Return the error that says what `go verb` could not do, and what to do about it."""
    lines = [line for line in failure.lines if not line.startswith("go: downloading")]
    text = "\n".join(lines)
    for symptom, advice in SYMPTOMS.items():
        if symptom in text:
            return Unprepared(f"go {verb}: {symptom}", hint=f"{advice}; run again: it goes on")
    if lost := FETCH_FAILURE.search(text):
        return Unprepared(
            f"module {lost['module']} cannot be fetched: {lost['why']}",
            hint="check the network and GOPROXY, then run again: it goes on where it stopped",
        )
    said = "\n".join(lines[-MAX_ERROR_LINES:])
    return Rejected(
        f"`go {verb}` exited with {failure.returncode}:\n{said}",
        hint="run again: what is compiled stays compiled; if it ends the same, tell us",
    )
