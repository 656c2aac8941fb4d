"""The verdict: green only for a mesh that is whole, and a red one says why."""

import inspect
import json
import random
import re

import pytest

from isthmus.environment import ClusterSpec, Environment
from isthmus.errors import Findings
from isthmus.verification import (
    Answers,
    Finding,
    ObservedEndpoint,
    ReportedState,
    Verification,
    bound,
    endpoint_findings,
    evaluate,
    evaluate_client,
    service_findings,
    service_traffic_findings,
    table,
    traffic_findings,
)
from isthmus.verification.evidence import KINDS_BY_CAUSE

CITIES = ("beijing", "shanghai", "tianjin")


def reported(*clusters: str, pods: int = 1) -> ReportedState:
    """Each cluster has a network of its own; all use the same pod addresses, as in the lab."""
    return ReportedState(
        pods={c: {f"{c}-{i}": f"10.244.0.{i}" for i in range(pods)} for c in clusters},
        gateways={c: [f"198.18.{i}.1:15443"] for i, c in enumerate(clusters)},
        networks={c: f"network{i}" for i, c in enumerate(clusters)},
    )


def environment(*clusters: str) -> Environment:
    host, *remotes = [
        ClusterSpec(name=c, region=c, network=f"network{i}") for i, c in enumerate(clusters)
    ]
    return Environment(name="pair", host=host, remotes=remotes)


TWO, THREE = reported(*CITIES[:2]), reported(*CITIES)
PAIR = environment(*CITIES[:2])


def seen(client: str, mesh: ReportedState, **weights: int) -> list[ObservedEndpoint]:
    """Return the table as it should be, with other weights for some clusters."""
    own = [ObservedEndpoint(address=ip, port=5000) for ip in mesh.pods[client].values()]
    gateways = [
        ObservedEndpoint(
            address=f"198.18.{i}.1", port=15443, weight=weights.get(c, len(mesh.pods[c]))
        )
        for i, c in enumerate(mesh.networks)
        if c != client and mesh.pods[c]
    ]
    return own + gateways


def answers(mesh: ReportedState, *, failures=(), more=(), **counts: int) -> Answers:
    instances = [next(iter(mesh.pods[c])) for c, k in counts.items() for _ in range(k)] + [*more]
    return Answers(
        requests=len(instances) + len(failures), instances=instances, failures=list(failures)
    )


def look(client: str = "beijing", mesh: ReportedState = TWO, table=None, **counts):
    return evaluate_client(
        client, seen(client, mesh) if table is None else table, answers(mesh, **counts), mesh
    )


def kinds(verdict) -> list[str]:
    return [reason.kind for reason in verdict.findings]


def split(seed: int, p: float, n: int = 100) -> dict[str, int]:
    """Return a sample of n answers from beijing, each from shanghai with probability p."""
    chance = random.Random(seed)
    remote = sum(chance.random() < p for _ in range(n))
    return {"beijing": n - remote, "shanghai": remote}


def test_a_whole_mesh_passes():
    verdict = look(beijing=52, shanghai=48)
    assert (verdict.verdict, verdict.failed, kinds(verdict)) == ("pass", 0, [])
    assert verdict.answers == {"beijing": 52, "shanghai": 48}


def test_a_whole_mesh_passes_a_thousand_times_with_hardly_a_false_alarm():
    red = [seed for seed in range(1000) if look(**split(seed, 0.5)).verdict == "fail"]
    assert len(red) <= 1


def test_a_whole_mesh_of_two_clients_passes_a_thousand_times_with_hardly_a_false_alarm():
    def verdict(seed: int) -> str:
        clients = [
            look("beijing", **split(2 * seed, 0.5)),
            look("shanghai", **split(2 * seed + 1, 0.5)),
        ]
        return evaluate(PAIR, clients).verdict

    assert sum(verdict(seed) == "fail" for seed in range(1000)) <= 2


def test_three_regions_pass_with_a_third_each():
    assert look(mesh=THREE, beijing=34, shanghai=33, tianjin=33).verdict == "pass"


def test_one_of_three_regions_that_never_answers_is_red_and_named():
    verdict = look(mesh=THREE, beijing=50, shanghai=50, tianjin=0)
    assert [(r.kind, r.about) for r in verdict.findings] == [("silent", "tianjin")]


def test_weights_three_to_one_are_what_is_expected_and_an_even_split_is_red():
    weighted = seen("beijing", TWO, shanghai=3)
    good = look(table=weighted, beijing=25, shanghai=75)
    assert (good.expected, good.verdict) == ({"beijing": 0.25, "shanghai": 0.75}, "pass")
    even = look(table=weighted, beijing=50, shanghai=50)
    assert kinds(even) == ["skewed"]


def test_a_hundred_good_answers_all_from_here_are_red_because_the_remote_gateway_is_dead():
    verdict = look(beijing=100, shanghai=0)
    assert (verdict.failed, verdict.verdict, kinds(verdict)) == (0, "fail", ["silent"])
    text = verdict.findings[0].text
    assert text.startswith("beijing: 100 good answers, all from beijing and none from shanghai")
    assert "about 50 were expected (30 to 70 allowed)" in text
    assert "no request failed, because retries went to who does answer" in text
    assert "198.18.1.1:15443" in text
    assert "kubectl --context shanghai -n istio-system get pods" in text


def test_silence_of_the_own_pods_is_red_and_blames_no_gateway():
    text = look(beijing=0, shanghai=100).findings[0].text
    assert "beijing's pods do not answer" in text
    assert "gateway" not in text


def test_silence_beside_failures_is_not_put_down_to_retries():
    verdict = look(beijing=60, shanghai=0, failures=["timed out"] * 40)
    assert kinds(verdict) == ["failed requests", "silent"]
    assert "retries" not in verdict.findings[1].text


def test_silence_in_few_requests_is_red_and_says_how_many_would_tell():
    verdict = look(beijing=4, shanghai=0)
    assert kinds(verdict) == ["silent"]
    assert "set verification.requests to 14" in verdict.findings[0].text
    assert "verification.requests" not in look(beijing=100, shanghai=0).findings[0].text


def test_one_failure_of_a_hundred_is_red_and_says_what_came_back():
    verdict = look(beijing=50, shanghai=49, failures=["HTTP 503: no healthy upstream"])
    assert (verdict.requests, verdict.failed, kinds(verdict)) == (100, 1, ["failed requests"])
    assert "1 of 100 requests failed (1 x HTTP 503: no healthy upstream)" in str(verdict.findings)


def test_only_failures_are_red_for_that_alone():
    assert kinds(look(failures=["no answer"] * 100)) == ["failed requests"]


def test_an_empty_table_is_said_by_what_it_lacks_and_not_as_a_skewed_share():
    verdict = look(table=[], beijing=50, shanghai=50)
    assert kinds(verdict) == ["pod missing", "gateway missing"]


def test_an_instance_that_no_cluster_knows_is_red_named_and_counted_as_failed():
    verdict = look(beijing=50, shanghai=49, more=["helloworld-ghost"])
    assert (verdict.failed, kinds(verdict)) == (1, ["unknown instance"])
    assert "helloworld-ghost" in verdict.findings[0].text


def test_kept_connections_are_red():
    kept = answers(TWO, beijing=50, shanghai=50).model_copy(update={"reused": 99})
    verdict = evaluate_client("beijing", seen("beijing", TWO), kept, TWO)
    assert kinds(verdict) == ["reused connections"]


def test_an_unhealthy_endpoint_is_red_though_answers_are_good():
    own, gateway = seen("beijing", TWO)
    ejected = gateway.model_copy(update={"health": "UNHEALTHY"})
    verdict = look(table=[own, ejected], beijing=100, shanghai=0)
    assert kinds(verdict) == ["unhealthy endpoint"]


def test_a_foreign_pod_is_red_though_answers_are_good():
    mesh = reported("beijing", "shanghai").model_copy(
        update={"pods": {"beijing": {"b": "10.244.0.1"}, "shanghai": {"s": "10.244.0.2"}}}
    )
    foreign = ObservedEndpoint(address="10.244.0.2", port=5000)
    verdict = look(mesh=mesh, table=[*seen("beijing", mesh), foreign], beijing=34, shanghai=66)
    assert kinds(verdict) == ["foreign pod"]


def test_a_network_missing_from_the_table_is_said_once_with_its_gateway():
    verdict = look(table=seen("beijing", TWO)[:1], beijing=100, shanghai=0)
    assert kinds(verdict) == ["gateway missing"]
    assert "198.18.1.1:15443" in verdict.findings[0].text


def test_a_region_with_pods_and_no_share_is_red():
    verdict = look(table=seen("beijing", TWO, shanghai=0), beijing=100, shanghai=0)
    assert kinds(verdict) == ["no weight"]


def test_a_region_without_a_ready_pod_is_red_and_said_once_for_all_clients():
    mesh = TWO.model_copy(update={"pods": {"beijing": TWO.pods["beijing"], "shanghai": {}}})
    clients = [evaluate_client("beijing", seen("beijing", mesh), answers(mesh, beijing=100), mesh)]
    clients += [
        evaluate_client("shanghai", seen("shanghai", mesh), answers(mesh, beijing=100), mesh)
    ]
    verification = evaluate(PAIR, clients)
    assert [client.verdict for client in verification.clients] == ["fail", "fail"]
    assert len(verification.reasons) == 1
    assert verification.reasons[0].startswith("shanghai: no ready helloworld pod")


def test_ping_pong_at_a_hundred_requests_is_red_by_both_clients_together():
    clients = [
        look("beijing", beijing=67, shanghai=33),
        look("shanghai", beijing=33, shanghai=67),
    ]
    assert [client.verdict for client in clients] == ["pass", "pass"]
    verification = evaluate(PAIR, clients)
    assert verification.verdict == "fail"
    assert "134 of 200 answers came from the client's own network" in verification.reasons[0]


def test_ping_pong_in_random_samples_is_mostly_red_at_100_and_always_at_1000():
    def red(seed: int, n: int) -> bool:
        clients = [
            look("beijing", **split(2 * seed, 1 / 3, n)),
            look("shanghai", **split(2 * seed + 1, 2 / 3, n)),
        ]
        return evaluate(PAIR, clients).verdict == "fail"

    assert sum(red(seed, 100) for seed in range(200)) > 140
    assert all(red(seed, 1000) for seed in range(50))


@pytest.mark.parametrize(
    ("mesh", "counts"),
    [
        (TWO, {"beijing": 77, "shanghai": 23}),
        (TWO, {"beijing": 670, "shanghai": 330}),
        (TWO, {"beijing": 20, "shanghai": 80}),
        (THREE, {"beijing": 37, "shanghai": 60, "tianjin": 3}),
    ],
)
def test_shares_alone_are_red_and_accuse_no_gateway(mesh, counts):
    verdict = look(mesh=mesh, **counts)
    assert kinds(verdict) == ["skewed"]
    assert "send" not in verdict.findings[0].text and "gateway" not in verdict.findings[0].text


def counted(endpoint, **counts):
    return endpoint.model_copy(update={"counted": True, **counts})


def test_shares_that_failed_tries_explain_are_put_down_to_the_endpoint_where_they_failed():
    own, far = seen("beijing", TWO)
    tables = [own, counted(far, tried=52, answered=23, unconnected=29)]
    [finding] = look(table=tables, beijing=77, shanghai=23).findings
    assert "29 tries at 198.18.1.1:15443 failed and were repeated elsewhere" in finding.text


@pytest.mark.parametrize(
    ("counts", "said", "not_said"),
    [
        ({"tried": 90, "unconnected": 90}, "90 connections to its gateway", "rule of Istio"),
        ({"tried": 90, "errors": 90}, "90 requests to its gateway", "nobody listens"),
        ({"tried": 0}, "sidecar sent none to its gateway", "nobody listens"),
    ],
)
def test_of_a_silent_region_it_is_said_what_the_sidecar_saw_at_its_gateway(counts, said, not_said):
    own, far = seen("beijing", TWO)
    [finding] = look(table=[own, counted(far, **counts)], beijing=100, shanghai=0).findings
    assert said in finding.text and not_said not in finding.text
    assert "no gateway pod runs" not in finding.text


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("HTTP 403: RBAC: access denied", "an AuthorizationPolicy"),
        ("HTTP 503: upstream connect error: TLS_error:|...:CERTIFICATE_VERIFY_FAILED", "root CA"),
        (
            "HTTP 503: upstream connect error or disconnect/reset before headers",
            "unknown from this",
        ),
        ("Resolving timed out", "DNS"),
    ],
)
def test_failures_are_put_down_to_what_they_say_themselves(failure, said):
    [finding] = look(failures=[failure] * 100).findings
    assert said in finding.text
    assert ("common root CA" in finding.text) == ("VERIFY_FAILED" in failure)


@pytest.mark.parametrize("edge", [bound(100, 0.5)[0], bound(100, 0.5)[1]])
def test_the_last_allowed_share_passes_and_one_further_is_red(edge):
    further = edge + (1 if edge > 50 else -1)
    assert look(beijing=100 - edge, shanghai=edge).verdict == "pass"
    assert look(beijing=100 - further, shanghai=further).verdict == "fail"


def test_a_region_that_asked_nothing_is_red():
    verification = evaluate(PAIR, [look(beijing=50, shanghai=50)])
    assert verification.reasons[0].startswith("shanghai: no request was sent from here")


def test_a_finding_on_a_gateway_makes_the_verdict_red():
    gateway = Finding(kind="sends back", about="shanghai", text="shanghai: its gateway sends back")
    clients = [look(beijing=50, shanghai=50), look("shanghai", beijing=50, shanghai=50)]
    assert evaluate(PAIR, clients).verdict == "pass"
    assert evaluate(PAIR, clients, [gateway]).reasons == ["shanghai: its gateway sends back"]


def whole() -> Verification:
    # handed over in another order than the environment's
    return evaluate(
        environment(*CITIES),
        [
            look("tianjin", THREE, beijing=33, shanghai=33, tianjin=34),
            look("beijing", THREE, beijing=34, shanghai=33, tianjin=33),
            look("shanghai", THREE, beijing=33, shanghai=34, tianjin=33),
        ],
    )


def test_the_document_has_exactly_the_published_keys():
    document = json.loads(json.dumps(whole().document()))
    assert document["clients"][0] == {
        "cluster": "beijing",
        "requests": 100,
        "failed": 0,
        "answers": {"beijing": 34, "shanghai": 33, "tianjin": 33},
        "expected": {"beijing": 0.333, "shanghai": 0.333, "tianjin": 0.333},
        "verdict": "pass",
        "endpoints": {
            "observed": ["10.244.0.0:5000", "198.18.1.1:15443", "198.18.2.1:15443"],
            "expected": ["10.244.0.0:5000", "198.18.1.1:15443", "198.18.2.1:15443"],
        },
    }
    assert {key: value for key, value in document.items() if key != "clients"} == {
        "apiVersion": "isthmus/v1",
        "kind": "Verification",
        "environment": "pair",
        "verdict": "pass",
        "services": [],
        "causes": [],
        "reasons": [],
    }
    assert [client["cluster"] for client in document["clients"]] == list(CITIES)


def test_a_verdict_survives_being_stored():
    red = evaluate(PAIR, [look(beijing=100, shanghai=0)])
    assert Verification.model_validate_json(red.model_dump_json()) == red


def test_a_green_verdict_raises_nothing_and_a_red_one_findings_with_every_reason():
    whole().raise_for_findings()
    red = evaluate(PAIR, [look(beijing=100, shanghai=0)])
    with pytest.raises(Findings) as caught:
        red.raise_for_findings()
    assert caught.value.exit_code == 79
    assert len(red.reasons) == 2
    assert all(reason in str(caught.value) for reason in red.reasons)
    assert "export KUBECONFIG=$(isthmus kubeconfig pair)" in caught.value.hint


def test_the_table_shows_answers_beside_what_is_allowed():
    clients = [look(beijing=51, shanghai=49), look("shanghai", beijing=50, shanghai=50)]
    assert table(evaluate(PAIR, clients))[0] == {
        "client": "beijing",
        "requests": "100",
        "failed": "0",
        "from beijing": "51 (30-70)",
        "from shanghai": "49 (30-70)",
        "verdict": "pass",
    }


def test_what_may_have_caused_the_others_is_told_first():
    """Seen in the pages: the region that never answered came before its gateway that was down."""
    silent = look("beijing", beijing=100)
    assert kinds(silent) == ["silent"]
    down = endpoint_findings.gateway_down("shanghai")
    whole = evaluate(environment("beijing", "shanghai"), [silent], [down])
    assert [reason.kind for reason in whole.all_findings] == ["no client", "gateway down", "silent"]
    assert whole.reasons[1] == down.text


def test_what_the_sidecar_counted_comes_before_a_failure_that_names_no_cause():
    """Seen with dropped packets: "unknown from this evidence" stood above "a firewall"."""
    own, far = seen("beijing", TWO)
    table = [own, counted(far, tried=8, unconnected=8)]
    timeouts = ["Operation timed out with 0 bytes received"] * 6
    client = look(table=table, failures=timeouts, beijing=9, shanghai=0)
    assert kinds(client) == ["failed requests", "silent"]
    whole = evaluate(environment("beijing", "shanghai"), [client, look("shanghai", beijing=50)], [])
    texts = [reason.text for reason in whole.all_findings]
    named = next(n for n, text in enumerate(texts) if "8 connections to its gateway" in text)
    unnamed = next(n for n, text in enumerate(texts) if "unknown from this" in text)
    assert named < unnamed and "or chance" not in texts[named]


def test_every_kind_of_reason_has_its_place_among_causes():
    modules = (
        endpoint_findings,
        traffic_findings,
        service_findings,
        service_traffic_findings,
    )
    told = [inspect.getsource(module) for module in modules]
    named = set(re.findall(r'make_finding\(\s*"([a-z ]+)"', "".join(told)))
    assert named == {kind for kinds in KINDS_BY_CAUSE for kind in kinds} and len(named) > 10
