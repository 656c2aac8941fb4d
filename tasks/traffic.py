"""The caller of a region as the one who asks: its sidecar's table, its requests, its verdict."""

import time

from isthmus import events, polling
from isthmus.adapters import readiness
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.environment import Environment
from isthmus.errors import NotReady
from isthmus.kubefed_manifests import SAMPLE
from isthmus.verification import (
    Answers,
    ClientVerdict,
    ObservedEndpoint,
    ReportedState,
    are_open,
    counted_since,
    expected_endpoints,
    judge_client,
    parse_answers,
    parse_clusters,
    probe_script,
    told_of,
)
from isthmus.verification.targets import SIDECAR, URL, WARM_UP

ADMIN = "127.0.0.1:15000/clusters?format=json"
PAUSE = 0.5
"""Seconds from one look to the next."""
EACH = 5
"""Requests for each endpoint in one such round. Of the proper ones so many are asked at once where
not all ways are open."""
PATIENCE = 2.0
"""Seconds that a request of such a round may take; a slower way is judged by the proper ones."""
QUICK = 60.0
"""Seconds that a look may have taken for another one, or for more requests where some failed, to be
worth the while."""
PASSING = {"failed requests", "silent", "skewed", "unknown instance"}
"""Findings of traffic alone: what was seen once may have been a moment."""
KILLED = 126
"""From here on an exit code is none of curl's: not to be run, or ended by a signal (POSIX sh)."""
TABLE = "the sidecar's endpoint table"


class UnexpectedState(NotReady):
    """What is not as expected; what it is instead is for the judge."""


def ready_pods(cluster: Kube, namespace: str, labels: str) -> list[Manifest]:
    """Return the Ready pods; ones that are there and not Ready get some time to become so."""

    def found() -> list[Manifest] | None:
        pods = readiness.running_pods(cluster, namespace, labels)
        return pods if pods or not cluster.objects("Pod", namespace, labels=labels) else None

    limit = polling.limits().pod
    try:
        return polling.until(found, f"a Ready pod {labels}", timeout=limit, error=UnexpectedState)
    except UnexpectedState:
        return []


class Caller:
    """One region's caller."""

    def __init__(
        self, environment: Environment, cluster: Kube, pod: str, reported: ReportedState
    ) -> None:
        self._wanted, self._cluster, self._pod = environment.verification, cluster, pod
        self._reported = reported

    def verdict(self) -> ClientVerdict:
        """Return what is to be held of what it sees; a red that traffic alone shows is seen twice.

        The ways may just be opening, or the machine be busy: a mesh that is broken is so again.
        """
        opened = self._settle() and self._open_ways()
        begun = time.monotonic()
        found = self._look(opened)
        kinds = {reason.kind for reason in found.findings}
        settled = "silent" in kinds and not opened  # it was looked at for `endpoints` before
        if kinds and kinds <= PASSING and not settled and time.monotonic() - begun < QUICK:
            events.say(f"looks again: {', '.join(sorted(kinds))}")
            found = self._look(opened)
        return found

    def _look(self, opened: bool) -> ClientVerdict:
        """Judge the table first, then the answers, beside what the sidecar counted meanwhile."""
        before = self._table()
        events.say(f"{self._wanted.requests} requests")
        answers = self._ask_by(self._wanted.requests if opened else EACH)
        seen = counted_since(before, self._table())
        return judge_client(self._cluster.access.cluster, seen, answers, self._reported)

    def _settle(self) -> bool:
        """Wait for the table to be as expected; tell whether it became so: else the judge does."""
        where = (self._reported.addresses, self._reported.gateways, self._reported.networks)
        expected = set(expected_endpoints(self._cluster.access.cluster, *where))

        def settled() -> bool | None:
            return True if {e.text for e in self._table()} == expected else None

        try:
            return polling.until(
                settled,
                TABLE,
                timeout=polling.limits().proxies,
                interval=PAUSE,
                error=UnexpectedState,
            )
        except UnexpectedState:
            events.say(f"{TABLE} does not become as expected")
            return False

    def _open_ways(self) -> bool:
        """Tell whether each endpoint came to answer with none failing, by the sidecar's count."""
        first = last = self._table()

        def opened() -> bool | None:
            nonlocal last
            before = last
            self._ask(EACH * len(first), min(PATIENCE, self._wanted.timeout))
            last = self._table()
            return (
                True if are_open(counted_since(first, last), counted_since(before, last)) else None
            )

        limit = polling.limits().endpoints
        try:
            return polling.until(
                opened, "open ways", timeout=limit, interval=PAUSE, error=UnexpectedState
            )
        except UnexpectedState:
            events.say("not every endpoint answers")
            return False

    def _ask_by(self, each: int) -> Answers:
        """Return what became of all requests, or of so many as QUICK lets once some failed.

        Where a firewall drops packets half of them take their whole time, and a few show it; so
        that can be seen after `each` of them.
        """
        wanted, begun = self._wanted, time.monotonic()
        answers = self._ask(min(each, wanted.requests), wanted.timeout, WARM_UP)
        while left := wanted.requests - answers.requests:
            if answers.failures and time.monotonic() - begun > QUICK:
                events.say(f"{len(answers.failures)} of {answers.requests} requests failed")
                break
            answers += self._ask(min(each, left), wanted.timeout)
        return answers

    def _ask(self, n: int, timeout: float, warm_up: int = 0) -> Answers:
        """Return what became of each request; raises NotReady if curl does not tell of all."""
        command = probe_script(warm_up + n, URL, timeout)
        text, said, code = self._cluster.execute(self._pod, SAMPLE, "sleep", command)
        told = told_of(text)
        if code >= KILLED or told < warm_up + n:
            raise NotReady(
                f"{self._pod}: curl told of {told} of {warm_up + n} requests and ended with exit "
                f"code {code}: {said[:200]}"
            )
        return parse_answers(text, n, warm_up)

    def _table(self) -> list[ObservedEndpoint]:
        command = ["curl", "-q", "-sS", "-m", "5", ADMIN]
        text, problem, code = self._cluster.execute(self._pod, SAMPLE, "sleep", command)
        if code or not text:
            raise NotReady(f"{self._pod}: its sidecar does not answer: {problem}")
        return parse_clusters(text, SIDECAR)
