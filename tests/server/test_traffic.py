"""What is held against a mesh is seen twice, and never on half an answer."""

import pytest
from fakes import limit
from world import environment

from isthmus.errors import ClusterUnreachable, Findings, NotReady
from isthmus.verification import VerificationFailed
from tasks import caller_pod, traffic

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def patient(world, monkeypatch):
    """A mesh that was built, and a verification that waits for its ways without any pause."""
    from flows.build import build

    build(environment())
    limit(monkeypatch, endpoints=5)
    monkeypatch.setattr(traffic, "POLL_INTERVAL", 0.001)
    return world


def verify():
    from flows.verify import verify

    return verify(environment())


def test_a_gateway_that_takes_connections_a_moment_late_is_waited_for(patient):
    patient.kubes["beijing"].shut = 55
    assert verify().verdict == "pass"
    assert patient.kubes["beijing"].shut == 0


def test_what_one_look_shows_and_the_next_does_not_is_no_finding(world, monkeypatch):
    from flows.build import build

    build(environment())
    # No time to wait for the ways: the first look meets them while they are shut.
    world.kubes["beijing"].shut = 20
    assert verify().verdict == "pass"
    assert world.kubes["beijing"].shut == 0


def test_a_way_that_stays_shut_is_red_with_what_the_sidecar_counted(world):
    from flows.build import build

    build(environment())
    world.kubes["beijing"].shut = 10**6
    with pytest.raises(Findings) as caught:
        verify()
    text = caught.value.message
    assert "connections to its gateway 198.18.1.3:15443 failed" in text
    assert "send" not in text and "no gateway pod" not in text


def test_a_way_that_eats_each_request_s_whole_time_is_told_after_a_few(patient, monkeypatch):
    """As a firewall does that drops packets: one of two requests takes its ten seconds."""
    whole, wanted = patient.host.program, environment().verification.requests

    def dropped(pod, argv):
        out, err = whole(pod, argv)
        lost = "\n000 0 Operation timed out after 10001 milliseconds\n"
        return (out.replace("\n200 1", lost, 1) if "/hello" in argv[-1] else out), err

    monkeypatch.setattr(patient.host, "program", dropped)
    monkeypatch.setattr(traffic.SampleCaller, "_await_answers", lambda self: False)
    monkeypatch.setattr(traffic, "RECHECK_TIME_LIMIT", 0.0)
    with pytest.raises(VerificationFailed) as caught:
        verify()
    asked = {c.cluster: c.requests for c in caught.value.verification.clients}
    assert asked["beijing"] < wanted, "its first few have shown it"
    assert asked["shanghai"] == wanted, "none of its requests failed"
    text = caught.value.message
    assert f"of {asked['beijing']} requests failed (" in text and "Operation timed out" in text


def test_a_stream_that_is_cut_is_asked_again_and_nobody_is_blamed(patient):
    for cluster in patient.kubes.values():
        cluster.exec_troubles = [ClusterUnreachable("the connection was cut")]
    assert verify().verdict == "pass"


def test_output_that_tells_of_some_requests_only_is_no_evidence(patient, monkeypatch):
    whole = patient.host.program

    def cut(pod, argv):
        out, err = whole(pod, argv)
        return (out[: len(out) // 2], err, 23) if "/hello" in argv[-1] else (out, err)

    monkeypatch.setattr(patient.host, "program", cut)
    pod = caller_pod.CallerPod(patient.host, "sleep-beijing")
    caller = traffic.SampleCaller(environment(), pod, None)
    with pytest.raises(NotReady, match=r"curl reported \d+ of 10 requests .* exit code 23"):
        caller._send_requests(10, 1.0)


def test_both_pods_of_a_gateway_are_asked(patient):
    host = patient.host
    first = next(m for key, m in host.store.items() if key[1] == "pods" and "gateway" in key[3])
    second = {**first, "metadata": {**first["metadata"], "name": "istio-eastwestgateway-two"}}
    host.put(second)
    asked, whole = [], host.program
    host.program = lambda pod, argv: asked.append(pod) or whole(pod, argv)
    assert verify().verdict == "pass"
    assert {first["metadata"]["name"], "istio-eastwestgateway-two"} <= set(asked)


def test_a_pod_that_misses_one_look_at_its_readiness_is_waited_for(patient):
    host = patient.host
    key = next(k for k in host.store if k[1] == "pods" and k[3].startswith("sleep"))
    host.store[key]["status"]["conditions"][0]["status"] = "False"
    looks = []

    def ready_again(verb, path, *rest):
        looks.append(path)
        if len(looks) > 4:
            host.store[key]["status"]["conditions"][0]["status"] = "True"
        return type(host).request(host, verb, path, *rest)

    host.request = ready_again
    assert verify().verdict == "pass"
