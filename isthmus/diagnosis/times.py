"""Moments and spans as messages have them; time is told by the snapshot, never by the clock."""

import re
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": MINUTE, "h": HOUR}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def utc(seconds: float) -> str:
    """Return a moment: `2026-09-21 14:13:20 UTC`."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return f"{seconds:.0f} s after 1970"


def span(seconds: float) -> str:
    """Return a span in its largest unit: `3 days`, `5 hours`, `40 s`."""
    size = abs(seconds)
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if size >= unit:
            count = int(size // unit)
            return f"{count} {name}{'s' if count != 1 else ''}"
    return f"{size:.0f} s"


def duration(text: str) -> float | None:
    """Return a duration of Go's, such as `30s` or `1m30s`, in seconds; None if it is none."""
    if text.strip("+-") == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(a + b for a, b in parts) != text.lstrip("+"):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
