"""A service of the users' own, asked from one region: until it is sure, and never without end."""

import time
from collections.abc import Callable

from isthmus import events, polling
from isthmus.environment import VerificationSpec
from isthmus.verification import (
    Answers,
    ObservedEndpoint,
    ServiceExpectation,
    ServiceVerdict,
    count_told,
    evaluate_service,
    has_expected_table,
    parse_clusters,
    parse_service_answers,
    requests_for,
    service_script,
    subtract_counts,
    unasked,
)
from tasks.caller_pod import PARALLEL, CallerPod, comes_true, in_parallel
from tasks.traffic import (
    BATCH,
    POLL_INTERVAL,
    RECHECK_TIME_LIMIT,
    ROUND_REQUEST_TIMEOUT,
    TRANSIENT_FINDINGS,
)

TRIES_PER_ENDPOINT = 5
"""Requests for each endpoint that show whether any fails, and which."""
MOST_TRIES = 30
"""Requests between whose each two the sidecar's counters are read, to see where they failed."""
MOST_CONNECTIONS, TCP_ROUND = 200, 50
"""TCP connections in all, and between two looks at the time: each is held for a second."""
SERVICE_TRANSIENT_FINDINGS = TRANSIENT_FINDINGS | {"failing endpoint"}
Tables = dict[str, list[ObservedEndpoint]]


class ServiceCaller:
    """One region's caller, as it asks one service; `expect_anew` asks the clusters once more."""

    def __init__(
        self,
        wanted: VerificationSpec,
        caller: CallerPod,
        expected: ServiceExpectation,
        expect_anew: Callable[[], ServiceExpectation],
    ) -> None:
        self._wanted, self._caller = wanted, caller
        self._expected, self._expect_anew = expected, expect_anew

    def verdict(self) -> ServiceVerdict:
        """Return what is to be held of the service; a red that traffic alone shows is seen twice.

        Where the table is not as expected, it is asked once more what to expect: pods come and go.
        """
        if not self._expected.endpoints:
            return unasked(self._expected)
        if not self._await_table():
            self._expected = self._expect_anew()
            if not self._expected.endpoints:
                return unasked(self._expected)
        begun = time.monotonic()
        found = self._check()
        kinds = {reason.kind for reason in found.findings}
        spent = time.monotonic() - begun
        if kinds and kinds <= SERVICE_TRANSIENT_FINDINGS and spent < RECHECK_TIME_LIMIT:
            events.report_progress(f"{found.service}: again after: {', '.join(sorted(kinds))}")
            found = self._check()
        return found

    def _await_table(self) -> bool:
        """Wait for the sidecar's table to be as expected; tell whether it became so."""
        own = self._expected.envoy_cluster()

        def settled() -> bool:
            return has_expected_table(self._expected, self._tables()[own])

        what = f"the sidecar to list the endpoints of {self._expected.service}"
        return comes_true(settled, what, polling.timeouts().proxies, POLL_INTERVAL)

    def _check(self) -> ServiceVerdict:
        """Ask, and judge what the sidecar counted meanwhile; where some fail, see where."""
        before = self._tables()
        answers = self._send_few()
        # What the sidecar repeated elsewhere has failed, too, though the caller got its answer.
        if not answers.failures and not _has_errors(self._since(before)):
            before = self._tables()
            answers = self._send_all(self._requests(before))
        counted = self._since(before)
        verdict = evaluate_service(self._expected, counted, answers.requests, answers.failures)
        if any(reason.kind == "failed requests" for reason in verdict.findings):
            alone, asked, said = self._attribute()
            if alone:
                return evaluate_service(self._expected, alone, asked, said)
            failures = said or answers.failures
            return evaluate_service(self._expected, counted, answers.requests, failures)
        return verdict

    def _send_few(self) -> Answers:
        """Return what became of so many requests that a shut endpoint shows, each within its time.

        In few commands as long as none fails: to start one is what takes most of the time.
        """
        few = TRIES_PER_ENDPOINT * len(self._expected.endpoints)
        limit = min(ROUND_REQUEST_TIMEOUT, self._wanted.timeout)
        commands = min(len(self._expected.endpoints), PARALLEL)
        quick = self._send_in_parallel(few, commands, limit)
        if not quick.failures:
            return quick
        # Each in a command of its own: a way that is shut costs the time of one request.
        few = min(max(PARALLEL, few), MOST_TRIES)
        return self._send_in_parallel(few, few)

    def _requests(self, tables: Tables) -> int:
        """Return how many requests are sent; each TCP connection costs the time that it is held."""
        needed = requests_for(self._expected, tables, self._wanted.requests)
        return min(needed, MOST_CONNECTIONS) if self._expected.protocol == "tcp" else needed

    def _send_all(self, requests: int) -> Answers:
        """Return what became of so many requests; of fewer, if some failed and took their time.

        One after the other, or the sidecar would prefer who answers fastest; a TCP connection is
        held as long everywhere, so that those may overlap.
        """
        begun = time.monotonic()
        answers = Answers(requests=0, instances=[], failures=[])
        tcp = self._expected.protocol == "tcp"
        while left := requests - answers.requests:
            late = polling.is_out_of_time()
            spent = time.monotonic() - begun > RECHECK_TIME_LIMIT or late
            if (answers.failures and spent) or (tcp and late and answers.requests):
                break
            if tcp:
                answers += self._send_in_parallel(min(TCP_ROUND, left))
            elif answers.failures:
                answers += self._send_in_parallel(min(PARALLEL, left))
            else:
                answers += self._send(min(BATCH, left))
        return answers

    def _attribute(self) -> tuple[Tables, int, list[str]]:
        """Ask one by one; return what was counted, with each failure where it happened, and words.

        An answer below 500, or a TCP connection that is closed, is no error to the sidecar. No
        tables if all endpoints failed: then it is the service, or what is asked of it.
        """
        blamed: dict[str, int] = {}
        said: list[str] = []
        asked, first = 0, self._tables()
        before = first
        while asked < min(MOST_TRIES, TRIES_PER_ENDPOINT * len(self._expected.endpoints)):
            if polling.is_out_of_time():
                break
            one, asked = self._send(1, words=True), asked + 1
            now = self._tables()
            for text in _tried(before, now) if one.failures else ():
                blamed[text] = blamed.get(text, 0) + 1
            said, before = said + one.failures, now
        if not blamed or set(blamed) >= {e.text for e in self._expected.endpoints}:
            return {}, asked, said
        counted = {name: subtract_counts(first[name], rows) for name, rows in before.items()}
        return {name: _blame(rows, blamed) for name, rows in counted.items()}, asked, said

    def _send_in_parallel(self, n: int, commands: int = PARALLEL, limit: float = 0.0) -> Answers:
        first, *others = in_parallel(n, lambda part: self._send(part, limit), commands)
        return sum(others, first)

    def _send(self, n: int, limit: float = 0.0, *, words: bool = False) -> Answers:
        timeout = limit or self._wanted.timeout
        command = service_script(self._expected, n, timeout, words=words)
        return parse_service_answers(self._expected, self._caller.curl(command, n, count_told), n)

    def _tables(self) -> Tables:
        text = self._caller.envoy_clusters()
        return {name: parse_clusters(text, name) for name in self._expected.envoy_clusters}

    def _since(self, before: Tables) -> Tables:
        return {name: subtract_counts(before[name], rows) for name, rows in self._tables().items()}


def _has_errors(tables: Tables) -> bool:
    return any(e.errors or e.unconnected for rows in tables.values() for e in rows)


def _tried(before: Tables, now: Tables) -> set[str]:
    """Return the endpoints that got a request between two looks."""
    since = (e for name, rows in now.items() for e in subtract_counts(before[name], rows))
    return {e.text for e in since if e.tried}


def _blame(rows: list[ObservedEndpoint], blamed: dict[str, int]) -> list[ObservedEndpoint]:
    return [e.model_copy(update={"errors": e.errors + blamed.get(e.text, 0)}) for e in rows]
