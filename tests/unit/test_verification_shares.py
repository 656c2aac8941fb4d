"""Expected shares from live weights, and how far chance may move them."""

import pytest

from isthmus.verification import ObservedEndpoint, bound, expected_shares, wilson
from isthmus.verification.shares import requests_needed

PODS = {"beijing": ["10.0.0.1"], "shanghai": ["10.0.0.1"], "tianjin": ["10.0.0.3"]}
GATEWAYS = {
    "beijing": ["198.18.1.1:15443"],
    "shanghai": ["198.18.2.1:15443"],
    "tianjin": ["198.18.3.1:15443"],
}
NETWORKS = {"beijing": "network1", "shanghai": "network2", "tianjin": "network3"}
OWN = ObservedEndpoint(address="10.0.0.1", port=5000)


def gateway(cluster: str, weight: int = 1, health: str = "HEALTHY") -> ObservedEndpoint:
    address, port = GATEWAYS[cluster][0].split(":")
    return ObservedEndpoint(address=address, port=int(port), weight=weight, health=health)


def shares(*seen, client="beijing", pods=PODS, gateways=GATEWAYS, networks=NETWORKS):
    return expected_shares(client, seen, pods, gateways, networks)


def test_three_regions_of_equal_weight_answer_a_third_each():
    third = pytest.approx(1 / 3)
    assert shares(OWN, gateway("shanghai"), gateway("tianjin")) == dict.fromkeys(NETWORKS, third)


def test_a_gateway_of_weight_three_answers_three_times_as_often():
    expected = {"beijing": 0.25, "shanghai": 0.75, "tianjin": 0.0}
    assert shares(OWN, gateway("shanghai", weight=3)) == expected


def test_equal_pod_addresses_count_for_the_clients_own_cluster():
    seen = (OWN, gateway("beijing"))
    assert shares(*seen, client="shanghai") == {"beijing": 0.5, "shanghai": 0.5, "tianjin": 0.0}


def test_an_ejected_endpoint_has_no_share():
    assert shares(OWN, gateway("shanghai", health="EJECTED"))["shanghai"] == 0.0


def test_an_empty_table_gives_nobody_a_share():
    assert shares() == dict.fromkeys(NETWORKS, 0.0)


def test_a_gateway_shared_by_clusters_is_divided_by_their_pods():
    networks = {"beijing": "network1", "shanghai": "network2", "tianjin": "network2"}
    pods = {"beijing": ["10.0.0.1"], "shanghai": ["10.1.0.1"] * 3, "tianjin": ["10.2.0.1"]}
    seen = (OWN, gateway("shanghai", weight=4))
    expected = {"beijing": 0.2, "shanghai": pytest.approx(0.6), "tianjin": pytest.approx(0.2)}
    assert shares(*seen, pods=pods, networks=networks) == expected


def test_a_gateway_without_pods_behind_it_answers_nothing():
    pods = {"beijing": ["10.0.0.1"]}
    assert shares(OWN, gateway("shanghai"), pods=pods) == {
        "beijing": 1.0,
        "shanghai": 0.0,
        "tianjin": 0.0,
    }


def test_a_foreign_pod_counts_for_the_cluster_whose_it_is():
    foreign = ObservedEndpoint(address="10.0.0.3", port=5000)
    assert shares(OWN, foreign)["tianjin"] == 0.5


@pytest.mark.parametrize(
    ("n", "p", "allowed"),
    [
        (100, 0.5, (30, 70)),
        (100, 0.0, (0, 0)),
        (100, 1.0, (100, 100)),
        (100, 0.75, (58, 92)),
        (10_000, 0.5, (4800, 5200)),
        (4, 0.5, (0, 4)),
    ],
)
def test_the_bound_is_four_standard_deviations_and_exact_at_the_ends(n, p, allowed):
    assert bound(n, p) == allowed


def test_the_wilson_interval_is_the_textbooks():
    assert wilson(50, 100) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))
    assert wilson(0, 100) == (0.0, pytest.approx(0.0370, abs=1e-4))
    assert wilson(100, 100) == (pytest.approx(0.9630, abs=1e-4), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_how_many_requests_make_silence_tell():
    assert requests_needed(0.5) == 14
    assert requests_needed(1.0) == 1
