"""The probe and its answers: the command that asks, and the reader of what it prints."""

import re
from collections.abc import Mapping

from isthmus.step_results import StepResult

HOST = "helloworld.sample.svc.cluster.local"
URL = "http://helloworld.sample:5000/hello"
SIDECAR = f"outbound|5000||{HOST}"
GATEWAY_CLUSTER = f"outbound_.5000_._.{HOST}"
"""The cluster by which a gateway hands requests on (model.BuildDNSSrvSubsetKey)."""
WARM_UP = 5
"""Requests before those that count: the first ones open the sidecar's own connections."""

_HELLO = re.compile(r"Hello version: (\S+), instance: (\S+)")
_END = re.compile(r"(?P<code>\d{3})(?: (?P<dials>\d+)(?: (?P<error>.*))?)?")
_TIMES = re.compile(r" after \d+ \w+")
_BODY_LIMIT = 120


class Answers(StepResult):
    """What one client got for its requests."""

    requests: int
    instances: list[str]
    """Who gave each good answer, in order."""
    failures: list[str]
    """Why each other request got none, with times left out so that like ones are equal."""
    reused: int = 0
    """Good answers that came over a connection of an earlier request."""

    def __add__(self, more: "Answers") -> "Answers":
        """Return what a client got for these requests and for more."""
        return Answers(
            requests=self.requests + more.requests,
            instances=self.instances + more.instances,
            failures=self.failures + more.failures,
            reused=self.reused + more.reused,
        )


def probe_script(n: int, url: str, timeout: float) -> list[str]:
    """Return a command that asks `url` n times in sequence, each over a connection of its own.

    It is an argv without a shell, for any image with curl; `timeout` is in seconds for one request.
    Its exit code is the last request's and means nothing: the output tells of every request.
    """
    return [
        *["curl", "-q", "-sS", "--noproxy", "*", "-m", f"{timeout:.3f}"],
        # The proxy closes after the answer; curl's own connects are reported, so it is proved.
        *["-H", "Connection: close"],
        *["-w", r"\n%{http_code} %{num_connects} %{errormsg}\n"],
        # curl asks once for each number; a fragment is not sent, so all requests are the same.
        *["--url", f"{url}#[1-{n}]"],
    ]


def parse_answers(stdout: str, n: int, warm_up: int = 0) -> Answers:
    """Return what became of each of n requests; those the output does not mention have failed.

    So many as `warm_up` were asked before them and do not count.
    """
    instances, failures, reused, body = [], [], 0, list[str]()
    for line in stdout.splitlines():
        if not (end := _END.fullmatch(line)):
            body += [line] if line.strip() else []
            continue
        if warm_up:
            warm_up, body = warm_up - 1, []
            continue
        if instance := _instance(end, body):
            instances.append(instance)
            reused += end["dials"] == "0"
        else:
            failures.append(_failure(end, body))
        body = []
    unasked = n - len(instances) - len(failures)
    failures += ["the probe ended before this request was answered"] * unasked
    return Answers(requests=n, instances=instances, failures=failures, reused=reused)


def count_reported(stdout: str) -> int:
    """Return of how many requests the output tells, the warm-up's among them."""
    return sum(bool(_END.fullmatch(line)) for line in stdout.splitlines())


def by_cluster(answers: Answers, instances: Mapping[str, str]) -> dict[str, int]:
    """Return how many good answers each cluster gave, by the cluster of each known instance."""
    counts = dict.fromkeys(instances.values(), 0)
    for instance in answers.instances:
        if instance in instances:
            counts[instances[instance]] += 1
    return counts


def unknown_instances(answers: Answers, instances: Mapping[str, str]) -> list[str]:
    """Return the instances that answered and that no cluster knows, one for each answer."""
    return [instance for instance in answers.instances if instance not in instances]


def _instance(end: re.Match[str], body: list[str]) -> str | None:
    hello = _HELLO.fullmatch(body[0].strip()) if len(body) == 1 else None
    return hello[2] if hello and end["code"] == "200" else None


def _failure(end: re.Match[str], body: list[str]) -> str:
    if end["code"] == "000":
        return _TIMES.sub("", end["error"] or "no answer").strip()
    said = body[0].strip()[:_BODY_LIMIT] if body else "an empty body"
    return f"HTTP {end['code']}: {said}"
