"""How a caller asks a user's own service: until it is sure, and never without end."""

import itertools
import json

import pytest
from world import environment

from isthmus import polling
from isthmus.verification import ExpectedEndpoint, ServiceExpectation, ServiceRoute
from tasks import service_caller
from tasks.caller_pod import CallerPod
from tasks.service_caller import ServiceCaller

OWN = "outbound|8080||cart.shop.svc.cluster.local"
ENDPOINTS = {
    "10.244.0.9:5000": "lisbon",
    "198.18.2.3:15443": "nairobi",
    "198.18.3.3:15443": "osaka",
}


COUNTERS = ("rq_total", "rq_success", "rq_error", "cx_connect_fail")


class Sidecar(CallerPod):
    """A caller whose sidecar sends requests round robin, and counts as Envoy does.

    `answers` has what curl says of each endpoint's answer; a 5xx alone is an error to Envoy.
    """

    def __init__(self, refuses="", ejected_after=1000, **answers):
        self.cluster, self.answers = "lisbon", answers
        self.refuses, self.ejected_after = refuses, ejected_after
        self.counts = {text: dict.fromkeys(COUNTERS, 0) for text in ENDPOINTS}
        self.turn = itertools.cycle(ENDPOINTS)
        self.table, self.sent = list(ENDPOINTS), 0

    def curl(self, command, n, count):
        said = []
        for _ in range(n):
            text = next(self.turn)
            while ENDPOINTS[text] == self.refuses:
                if not self.is_ejected(text):
                    self.counts[text]["cx_connect_fail"] += 1
                text = next(self.turn)
            end = self.answers.get(ENDPOINTS[text], "200 0 2 0.001 ")
            counted, error = self.counts[text], end.startswith("5")
            counted["rq_total"] += 1
            counted["rq_error" if error else "rq_success"] += 1
            said.append(f"oops\nisthmus {end}")
        self.sent += n
        text = "\n".join(said)
        assert count(text) == n
        return text

    def is_ejected(self, text):
        return self.counts[text]["cx_connect_fail"] >= self.ejected_after

    def envoy_clusters(self):
        hosts = [
            {
                "address": {"socket_address": {"address": a, "port_value": int(p)}},
                "stats": [{"name": k, "value": str(v)} for k, v in self.counts[f"{a}:{p}"].items()],
                "health_status": {"failed_outlier_check": self.is_ejected(f"{a}:{p}")},
            }
            for a, _, p in (text.rpartition(":") for text in self.table)
        ]
        return json.dumps({"cluster_statuses": [{"name": OWN, "host_statuses": hosts}]})


def expectation(**fields):
    behind = tuple(
        ExpectedEndpoint(text=text, clusters=(name,), pods=(f"{name}/cart",))
        for text, name in ENDPOINTS.items()
    )
    given = {"service": "shop/cart", "client": "lisbon", "host": "lisbon", "port": 8080}
    given |= {"endpoints": behind, "routes": (ServiceRoute(port=8080),), **fields}
    return ServiceExpectation(**given)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(service_caller, "POLL_INTERVAL", 0.001)
    limits = environment().timeouts.model_copy(update={"proxies": 0.05})
    with polling.use_timeouts(limits):
        yield


def verdict(sidecar, expected=None, anew=expectation):
    wanted = environment().verification
    return ServiceCaller(wanted, sidecar, expected or expectation(), anew).verdict()


def test_a_service_that_is_well_is_asked_as_often_as_the_file_says():
    found = verdict(Sidecar())
    assert found.verdict == "pass" and found.requests == environment().verification.requests


def test_errors_that_the_sidecar_counts_are_told_after_a_few():
    sidecar = Sidecar(osaka="500 0 4 0.001 ")
    found = verdict(sidecar)
    [reason] = found.findings
    assert (reason.kind, reason.about) == ("failing endpoint", "osaka")
    assert found.requests < environment().verification.requests
    assert sidecar.sent == 2 * 30, "a red that traffic shows is seen twice"


def test_failures_that_the_sidecar_repeats_elsewhere_until_it_ejects_the_endpoint_are_told():
    """As with outlierDetection: no request fails, and after the first few none goes there."""
    found = verdict(Sidecar(refuses="osaka", ejected_after=3))
    assert found.failed == 0
    assert {(r.kind, r.about) for r in found.findings} >= {("unhealthy endpoint", "osaka")}


def test_what_is_no_error_to_the_sidecar_is_found_by_asking_one_by_one():
    found = verdict(Sidecar(osaka="404 0 4 0.001 "))
    [reason] = found.findings
    assert (reason.kind, reason.about) == ("failing endpoint", "osaka")
    assert "5 answers were errors, of 5 tries there" in reason.text
    assert (found.requests, found.failed) == (15, 5)


def test_what_fails_everywhere_is_no_endpoint_s_fault_and_is_told_in_its_own_words():
    everywhere = dict.fromkeys(ENDPOINTS.values(), "403 0 19 0.001 ")
    [reason] = verdict(Sidecar(**everywhere)).findings
    assert reason.kind == "failed requests" and "HTTP 403: oops" in reason.text


def test_pods_that_came_meanwhile_are_expected_before_anybody_is_blamed():
    asked = []
    fewer = expectation(endpoints=expectation().endpoints[:2])
    assert verdict(Sidecar(), fewer, lambda: asked.append(1) or expectation()).verdict == "pass"
    assert asked == [1]


def test_a_table_that_stays_wrong_is_told():
    sidecar = Sidecar()
    sidecar.table = sidecar.table[:2]
    sidecar.turn = itertools.cycle(sidecar.table)
    assert verdict(sidecar).findings[0].kind == "endpoint missing"
