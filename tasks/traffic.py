"""The sample, asked from one region: the sidecar's table, the requests, the verdict on both."""

import time

from isthmus import events, polling
from isthmus.environment import Environment
from isthmus.verification import (
    Answers,
    ClientVerdict,
    ObservedEndpoint,
    ReportedState,
    count_reported,
    evaluate_client,
    expected_endpoints,
    has_every_endpoint_answered,
    parse_answers,
    parse_clusters,
    probe_script,
    subtract_counts,
)
from isthmus.verification.answers import SIDECAR, URL, WARM_UP
from tasks.caller_pod import PARALLEL, CallerPod, comes_true, in_parallel

POLL_INTERVAL = 0.5
"""Seconds from one look to the next."""
REQUESTS_PER_ENDPOINT = 5
"""Requests for each endpoint in one such round, and where not all ways are open."""
BATCH = 25
"""Requests of one command; between two it is seen whether more are worth the while."""
ROUND_REQUEST_TIMEOUT = 2.0
"""Seconds that a request of such a round may take; a slower way is judged by the proper ones."""
RECHECK_TIME_LIMIT = 15.0
"""Seconds that a look may have taken for another one, or for more requests where some failed, to be
worth the while: one failed request is red, and more of them only tell more of the same."""
TRANSIENT_FINDINGS = {"failed requests", "silent", "skewed", "unknown instance"}
"""Findings of traffic alone: what was seen once may have been a moment."""
TABLE = "the sidecar's endpoint table"


class SampleCaller:
    """One region's caller, as it asks the sample."""

    def __init__(
        self, environment: Environment, caller: CallerPod, reported: ReportedState
    ) -> None:
        self._wanted, self._caller, self._reported = environment.verification, caller, reported

    def verdict(self) -> ClientVerdict:
        """Return what is to be held of what it sees; a red that traffic alone shows is seen twice.

        The ways may just be opening, or the machine be busy: a mesh that is broken is so again.
        """
        opened = self._await_expected_endpoints() and self._await_answers()
        begun = time.monotonic()
        found = self._check(opened)
        kinds = {reason.kind for reason in found.findings}
        waited = not opened and not polling.is_out_of_time()
        settled = "silent" in kinds and waited  # it was looked at for `endpoints` before
        if (
            kinds
            and kinds <= TRANSIENT_FINDINGS
            and not settled
            and time.monotonic() - begun < RECHECK_TIME_LIMIT
        ):
            events.report_progress(f"checking again after: {', '.join(sorted(kinds))}")
            found = self._check(opened)
        return found

    def _check(self, opened: bool) -> ClientVerdict:
        """Judge the table first, then the answers, beside what the sidecar counted meanwhile."""
        before = self._read_endpoints()
        events.report_progress(f"{self._wanted.requests} requests")
        answers = self._send_until_certain(opened, len(before))
        seen = subtract_counts(before, self._read_endpoints())
        return evaluate_client(self._caller.cluster, seen, answers, self._reported)

    def _await_expected_endpoints(self) -> bool:
        """Wait for the table to be as expected; tell whether it became so: else the judge does."""
        where = (self._reported.addresses, self._reported.gateways, self._reported.networks)
        expected = set(expected_endpoints(self._caller.cluster, *where))

        def settled() -> bool:
            return {e.text for e in self._read_endpoints()} == expected

        what = f"{TABLE} to match the expected endpoints"
        if comes_true(settled, what, polling.timeouts().proxies, POLL_INTERVAL):
            return True
        events.report_progress(f"{TABLE} does not match the expected endpoints")
        return False

    def _await_answers(self) -> bool:
        """Tell whether each endpoint came to answer with none failing, by the sidecar's count."""
        first = last = self._read_endpoints()
        if not first:
            return False

        def opened() -> bool:
            nonlocal last
            before = last
            limit = min(ROUND_REQUEST_TIMEOUT, self._wanted.timeout)
            self._send_in_parallel(REQUESTS_PER_ENDPOINT * len(first), limit)
            last = self._read_endpoints()
            since, lately = subtract_counts(first, last), subtract_counts(before, last)
            return has_every_endpoint_answered(since, lately)

        limit = polling.timeouts().endpoints
        if comes_true(opened, "every endpoint to answer", limit, POLL_INTERVAL):
            return True
        events.report_progress("not every endpoint answers")
        return False

    def _send_until_certain(self, opened: bool, endpoints: int) -> Answers:
        """Return what became of all requests; of fewer, if some failed and took their time.

        Where not all ways are open, the first few overlap in time: one of them that fails is red.
        """
        wanted, begun = self._wanted, time.monotonic()
        few = min(wanted.requests, max(PARALLEL, REQUESTS_PER_ENDPOINT * endpoints))
        answers = (
            self._send_requests(min(BATCH, wanted.requests), wanted.timeout, WARM_UP)
            if opened
            else self._send_in_parallel(few, wanted.timeout)
        )
        while left := wanted.requests - answers.requests:
            spent = time.monotonic() - begun > RECHECK_TIME_LIMIT or polling.is_out_of_time()
            if answers.failures and (spent or not opened):
                events.report_progress(
                    f"{len(answers.failures)} of {answers.requests} requests failed"
                )
                break
            answers += (
                self._send_requests(min(BATCH, left), wanted.timeout)
                if opened
                else self._send_in_parallel(min(PARALLEL, left), wanted.timeout)
            )
        return answers

    def _send_in_parallel(self, n: int, timeout: float) -> Answers:
        """Return what became of n requests that overlap in time, in commands of their own."""
        first, *others = in_parallel(n, lambda part: self._send_requests(part, timeout))
        return sum(others, first)

    def _send_requests(self, n: int, timeout: float, warm_up: int = 0) -> Answers:
        """Return what became of each request; raises NotReady if curl does not tell of all."""
        command = probe_script(warm_up + n, URL, timeout)
        text = self._caller.curl(command, warm_up + n, count_reported)
        return parse_answers(text, n, warm_up)

    def _read_endpoints(self) -> list[ObservedEndpoint]:
        return parse_clusters(self._caller.envoy_clusters(), SIDECAR)
