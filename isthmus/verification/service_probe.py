"""The probe of a service of the users' own: the command that asks, and the reader of its output."""

import re

from isthmus.verification.answers import Answers
from isthmus.verification.service_traffic_findings import CLOSED
from isthmus.verification.services import ServiceExpectation

HOLD_SECONDS = 1.0
"""Seconds for which a TCP connection is held; what is closed before, without a byte, has failed."""
WORDS = 4096
"""Bytes of an answer that is read for what it says, at most."""
SHOWN = 120
"""Characters of it that are told."""
FIRST_ERROR = 400
"""Status from which an answer is an error, as for a kubelet's probe (kubernetes.io, Define
readiness probes)."""
TIMED_OUT, TOO_LARGE = "28", "63"
"""Curl's exit codes; the second one is of --max-filesize (curl.se, EXIT CODES)."""
_END = re.compile(r"isthmus (\d{3}) (\d+) (\d+) ([\d.]+)(?: (.*))?")
_TIMES = re.compile(r" after \d+ \w+")


def service_script(
    expectation: ServiceExpectation, n: int, timeout: float, *, words: bool = False
) -> list[str]:
    """Return a command that asks n times in sequence, each over a connection of its own.

    It is an argv without a shell, for any image with curl. With `words`, short answers are printed.
    """
    limit = timeout if expectation.protocol == "http" else min(HOLD_SECONDS, timeout)
    return [
        *["curl", "-q", "-sS", "--noproxy", "*", "-m", f"{limit:.3f}"],
        *["-H", "Connection: close"],
        *(["--max-filesize", str(WORDS)] if words else ["-o", "/dev/null"]),
        *["-w", r"\nisthmus %{http_code} %{exitcode} %{size_download} %{time_connect} "
          r"%{errormsg}\n"],
        # Of all that curl speaks this alone says nothing by itself.
        *["--url", f"{expectation.url.replace('tcp://', 'telnet://')}#[1-{n}]"],
    ]  # fmt: skip


def parse_service_answers(expectation: ServiceExpectation, text: str, n: int) -> Answers:
    """Return what became of each of n requests; those that the output does not mention failed."""
    good, failures, body = 0, list[str](), list[str]()
    for line in text.splitlines():
        if not (end := _END.fullmatch(line.strip())):
            body += [line] if line.strip() else []
            continue
        why = _failure(expectation, end, body)
        good, failures, body = good + (not why), failures + [why] * bool(why), []
    unasked = n - good - len(failures)
    failures += ["the probe ended before this request was answered"] * unasked
    return Answers(requests=n, instances=[""] * good, failures=failures)


def count_told(text: str) -> int:
    """Return of how many requests the output tells."""
    return sum(bool(_END.fullmatch(line.strip())) for line in text.splitlines())


def _failure(expectation: ServiceExpectation, end: re.Match[str], body: list[str]) -> str:
    """Return why a request got no good answer; empty if it got one."""
    status, code, size, connected, error = end.groups()
    if expectation.protocol == "tcp":
        if code == TIMED_OUT:
            # Held to the end; unless it was never connected, as when a name takes too long.
            return "" if float(connected) else _plain(error)
        return ("" if int(size) else CLOSED) if code == "0" else _plain(error)
    if int(status) >= FIRST_ERROR:
        said = f": {body[0].strip()[:SHOWN]}" if body else ""
        return f"HTTP {status}{said}"
    return _plain(error) if int(code) and code != TOO_LARGE else ""


def _plain(error: str | None) -> str:
    return _TIMES.sub("", error or "no answer").strip()
