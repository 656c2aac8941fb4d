"""What a sidecar counted at a user's own service, and what is made of it."""

import pytest

from isthmus.verification import (
    ExpectedEndpoint,
    ObservedEndpoint,
    ServiceExpectation,
    ServiceRoute,
    evaluate_service,
    parse_service_answers,
    requests_for,
    service_script,
    unasked,
)

OWN = "outbound|8080||cart.shop.svc.cluster.local"
NEAR, FAR, OTHER = "10.244.0.9:5000", "198.18.2.3:15443", "198.18.3.3:15443"


def behind(text, pod):
    gateway = text.endswith(":15443")
    return ExpectedEndpoint(text=text, clusters=(pod.split("/")[0],), pods=(pod,), gateway=gateway)


def expectation(**fields):
    given = {
        "service": "shop/cart",
        "client": "lisbon",
        "host": "lisbon",
        "port": 8080,
        "endpoints": (
            behind(NEAR, "lisbon/cart-v1-x"),
            behind(FAR, "nairobi/cart-v2-y"),
            behind(OTHER, "osaka/cart-v3-z"),
        ),
        "routes": (ServiceRoute(port=8080),),
        **fields,
    }  # fmt: skip
    return ServiceExpectation(**given)


def endpoint(text, tried=33, **fields):
    address, _, port = text.rpartition(":")
    counts = {"counted": True, "tried": tried, "answered": tried, "dialled": tried, **fields}
    return ObservedEndpoint(address=address, port=int(port), **counts)


def tables(*rows, name=OWN):
    return {name: list(rows)}


def good():
    return tables(endpoint(NEAR, 34), endpoint(FAR), endpoint(OTHER))


def kinds(verdict):
    return [(reason.kind, reason.about) for reason in verdict.findings]


def test_every_endpoint_that_answers_in_its_share_is_a_pass():
    found = evaluate_service(expectation(), good(), 100, [])
    assert found.verdict == "pass"
    assert [(e.clusters, e.requests) for e in found.endpoints] == [
        (("lisbon",), 34), (("nairobi",), 33), (("osaka",), 33)]  # fmt: skip
    assert found.row()["endpoints"] == "lisbon 34 (15-52), nairobi 33 (15-52), osaka 33 (15-52)"
    assert found.document()["endpoints"][2]["expected"] == 0.333


def test_a_version_that_answers_with_errors_is_named_by_its_cluster_and_pod():
    broken = tables(endpoint(NEAR), endpoint(FAR), endpoint(OTHER, answered=0, errors=33))
    [reason] = evaluate_service(expectation(), broken, 100, ["HTTP 500"] * 33).findings
    assert (reason.kind, reason.about) == ("failing endpoint", "osaka")
    assert "33 answers were errors, of 33 tries there" in reason.text
    assert "kubectl --context osaka -n shop logs cart-v3-z" in reason.text


def test_failures_that_retries_hide_are_seen_in_the_sidecar_s_counters():
    hidden = tables(endpoint(NEAR, 50), endpoint(FAR, 50), endpoint(OTHER, 0, unconnected=33))
    [reason] = evaluate_service(expectation(), hidden, 100, []).findings
    assert (reason.kind, reason.about) == ("failing endpoint", "osaka")
    assert "33 connections failed, of 33 tries there" in reason.text


def test_an_endpoint_that_gets_nothing_is_silent_and_no_guess_is_made():
    quiet = tables(endpoint(NEAR, 50), endpoint(FAR, 50), endpoint(OTHER, 0))
    assert kinds(evaluate_service(expectation(), quiet, 100, [])) == [("silent", "osaka")]


def test_silence_that_chance_explains_proves_nothing():
    quiet = tables(endpoint(NEAR, 3), endpoint(FAR, 2), endpoint(OTHER, 0))
    assert evaluate_service(expectation(), quiet, 5, []).verdict == "pass"


def test_a_share_that_chance_does_not_explain_is_skewed():
    odd = tables(endpoint(NEAR, 80), endpoint(FAR, 10), endpoint(OTHER, 10))
    assert kinds(evaluate_service(expectation(), odd, 100, [])) == [("skewed", "lisbon")]


def test_weights_and_priorities_of_the_sidecar_decide_the_shares():
    weighted = tables(
        endpoint(NEAR, 20), endpoint(FAR, 80, weight=4), endpoint(OTHER, 0, priority=1)
    )
    found = evaluate_service(expectation(), weighted, 100, [])
    assert found.verdict == "pass"
    assert [e.share for e in found.endpoints] == [0.2, 0.8, 0.0]


def test_requests_to_subsets_are_counted_where_they_went():
    v1, v2 = (f"outbound|8080|{name}|cart.shop.svc.cluster.local" for name in ("v1", "v2"))
    routes = (
        ServiceRoute(subset="v1", port=8080, weight=80),
        ServiceRoute(subset="v2", port=8080, weight=20),
    )
    split = {
        OWN: [endpoint(NEAR, 0), endpoint(FAR, 0), endpoint(OTHER, 0)],
        v1: [endpoint(NEAR, 79)],
        v2: [endpoint(FAR, 21)],
    }
    found = evaluate_service(expectation(routes=routes), split, 100, [])
    assert found.verdict == "pass"
    assert [(e.share, e.requests) for e in found.endpoints] == [(0.8, 79), (0.2, 21), (0.0, 0)]


def test_a_rule_that_chooses_by_itself_excuses_shares_and_never_failures():
    one = tables(endpoint(NEAR, 100), endpoint(FAR, 0), endpoint(OTHER, 0))
    assert evaluate_service(expectation(steered=True), one, 100, []).verdict == "pass"
    ill = tables(endpoint(NEAR, 100, errors=100), endpoint(FAR, 0), endpoint(OTHER, 0))
    assert kinds(evaluate_service(expectation(steered=True), ill, 100, ["HTTP 500"] * 100)) == [
        ("failing endpoint", "lisbon")
    ]


@pytest.mark.parametrize(
    ("rows", "kind", "about"),
    [
        ([endpoint(NEAR), endpoint(FAR)], "endpoint missing", "osaka"),
        ([endpoint(NEAR), endpoint(FAR), endpoint(OTHER), endpoint("10.1.1.1:5000", 0)],
         "unexpected endpoint", "lisbon"),
        ([], "unknown service", "lisbon"),
    ],
)  # fmt: skip
def test_the_table_must_be_what_the_clusters_have(rows, kind, about):
    found = evaluate_service(expectation(), tables(*rows), 100, [])
    assert kinds(found)[0] == (kind, about)


def test_failures_that_no_counter_shows_are_told_in_their_own_words():
    [reason] = evaluate_service(
        expectation(), good(), 100, ["HTTP 403: RBAC: access denied"]
    ).findings
    assert reason.kind == "failed requests" and "an AuthorizationPolicy refuses" in reason.text
    [reason] = evaluate_service(expectation(), good(), 100, ["HTTP 404: nothing"]).findings
    assert "set `path` in verification.services" in reason.text


def test_tcp_connections_that_lead_nowhere_are_failures():
    tcp = expectation(protocol="tcp")
    lost = tables(endpoint(NEAR, 0), endpoint(FAR, 0), endpoint(OTHER, 0))
    [reason] = evaluate_service(tcp, lost, 10, []).findings
    assert (
        "10 x the sidecar opened no connection" in reason.text
        and "name the Service's port" in reason.text
    )
    dropped = tables(endpoint(NEAR), endpoint(FAR), endpoint(OTHER, 0, dialled=33))
    [reason] = evaluate_service(tcp, dropped, 99, []).findings
    assert (reason.kind, reason.about) == ("failing endpoint", "osaka")


def test_what_cannot_be_asked_is_red_with_its_reasons():
    from isthmus.verification.service_findings import not_there

    bare = expectation(endpoints=(), findings=(not_there("shop/cart", ["osaka"]),))
    found = unasked(bare)
    assert (found.verdict, found.requests, found.endpoints) == ("fail", 0, ())


def test_small_shares_are_asked_more_often_and_never_without_end():
    many = {OWN: [endpoint(f"10.244.0.{n}:5000", 0) for n in range(1, 51)]}
    assert requests_for(expectation(), good(), 100) == 100
    assert requests_for(expectation(), many, 100) == 456
    tiny = {OWN: [endpoint(NEAR, 0, weight=100_000), endpoint(FAR, 0)]}
    assert requests_for(expectation(), tiny, 100) == 2000


def said(*ends):
    return "".join(f"body\nisthmus {end}\n" for end in ends)


@pytest.mark.parametrize(
    ("protocol", "end", "why"),
    [
        ("http", "200 0 4 0.001 ", []),
        ("http", "302 0 0 0.001 ", []),
        ("http", "404 0 4 0.001 ", ["HTTP 404: body"]),
        ("http", "000 7 0 0.000 Failed to connect after 3 ms", ["Failed to connect"]),
        ("http", "200 28 4 0.001 Operation timed out after 10 ms", ["Operation timed out"]),
        ("http", "200 63 4 0.001 Maximum file size exceeded", []),
        ("http", "200 18 4 0.001 transfer closed with 96 bytes remaining",
         ["transfer closed with 96 bytes remaining"]),
        ("tcp", "000 28 0 0.001 Time-out", []),
        ("tcp", "000 0 12 0.001 ", []),
        ("tcp", "000 0 0 0.001 ", ["connection closed at once"]),
        ("tcp", "000 28 0 0.000 Resolving timed out after 1000 ms", ["Resolving timed out"]),
        ("tcp", "000 56 0 0.001 Recv failure: Connection reset by peer",
         ["Recv failure: Connection reset by peer"]),
    ],
)  # fmt: skip
def test_what_curl_says_of_a_request(protocol, end, why):
    found = parse_service_answers(expectation(protocol=protocol), said(end), 1)
    assert (found.requests, found.failures, len(found.instances)) == (1, why, 1 - len(why))


def test_a_request_that_curl_does_not_tell_of_has_failed():
    found = parse_service_answers(expectation(), said("200 0 4 0.001 "), 2)
    assert found.failures == ["the probe ended before this request was answered"]


def test_the_probe_is_a_command_without_a_shell_that_drops_what_it_gets():
    command = service_script(expectation(path="/healthz"), 25, 10.0)
    assert command[-1] == "http://cart.shop:8080/healthz#[1-25]"
    assert command[command.index("-o") + 1] == "/dev/null"
    tcp = service_script(expectation(protocol="tcp"), 5, 10.0)
    assert tcp[-1] == "telnet://cart.shop:8080#[1-5]"
    assert tcp[tcp.index("-m") + 1] == "1.000"


def test_an_endpoint_that_gets_no_requests_because_it_was_ejected_is_told():
    ejected = tables(endpoint(NEAR, 50), endpoint(FAR, 50), endpoint(OTHER, 0, health="EJECTED"))
    assert kinds(evaluate_service(expectation(), ejected, 100, [])) == [
        ("unhealthy endpoint", "osaka")
    ]


def test_a_rule_that_chooses_by_itself_does_not_excuse_an_endpoint_that_is_missing():
    lacking = tables(endpoint(NEAR, 100), endpoint(FAR, 0))
    found = evaluate_service(expectation(steered=True), lacking, 100, [])
    assert kinds(found) == [("endpoint missing", "osaka")]
    free = expectation(steered=True, any_table=True)
    assert evaluate_service(free, lacking, 100, []).verdict == "pass"


def test_failures_beyond_what_the_counters_show_are_told_too():
    one = tables(endpoint(NEAR), endpoint(FAR), endpoint(OTHER, unconnected=1))
    found = evaluate_service(expectation(), one, 100, ["HTTP 403: RBAC: access denied"] * 30)
    assert [r.kind for r in found.findings] == ["failing endpoint", "failed requests"]


def test_tcp_connections_to_endpoints_of_unequal_weight_are_held_to_no_share():
    """Envoy prefers who holds few connections, so that the heavy one gets less than its weight."""
    tcp = expectation(protocol="tcp")
    uneven = tables(endpoint(NEAR, 30), endpoint(FAR, 60, weight=9), endpoint(OTHER, 10))
    assert evaluate_service(tcp, uneven, 100, []).verdict == "pass"
    quiet = tables(endpoint(NEAR, 0), endpoint(FAR, 200, weight=2), endpoint(OTHER, 100))
    assert kinds(evaluate_service(tcp, quiet, 300, [])) == [("silent", "lisbon")]
