"""The lab's load balancer: every Service an address of its own, kept for as long as it is there."""

import io
import json

import pytest

from isthmus.providers.lab import loadbalancer
from isthmus.providers.lab.loadbalancer import LoadBalancer

POOL = ["198.18.0.3", "198.18.0.4"]


def service(name, kind="LoadBalancer", *ips):
    return {
        "metadata": {"namespace": "s", "name": name},
        "spec": {"type": kind},
        "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]} if ips else {}},
    }


class Api:
    """The API server: what there is, and what was said in status."""

    def __init__(self, *services):
        self.now, self.said = list(services), {}

    def request(self, method, path, body=None):
        if method == "PATCH":
            self.said[path.split("/")[-2]] = body["status"]["loadBalancer"]["ingress"][0]["ip"]
        return io.StringIO(json.dumps({"items": self.now}))

    def services(self):
        return iter(self.now)


@pytest.fixture
def answering(monkeypatch):
    """Addresses that the region was made to answer at."""
    made = []
    monkeypatch.setattr(loadbalancer.subprocess, "run", lambda argv, check: made.append(argv[3]))
    return made


def test_each_service_of_the_type_gets_an_address_and_others_get_none(answering):
    api = Api(service("a"), service("b", "ClusterIP"), service("c"))
    LoadBalancer(api, POOL).reconcile()
    assert api.said == {"a": "198.18.0.3", "c": "198.18.0.4"}
    assert answering == ["198.18.0.3/32", "198.18.0.4/32"]


def test_a_service_of_another_class_is_left_to_others(answering):
    others = service("a")
    others["spec"]["loadBalancerClass"] = "example.com/other"
    api = Api(others, service("b"))
    LoadBalancer(api, POOL).reconcile()
    assert api.said == {"b": "198.18.0.3"}


def test_an_address_that_was_given_is_kept_over_a_restart(answering):
    api = Api(service("new"), service("old", "LoadBalancer", "198.18.0.3"))
    LoadBalancer(api, POOL).reconcile()
    assert api.said == {"new": "198.18.0.4"}
    assert "198.18.0.3/32" in answering


def test_a_full_pool_is_told_and_those_that_have_keep_theirs(answering, capsys):
    api = Api(service("a"), service("b"), service("c"))
    LoadBalancer(api, POOL).reconcile()
    assert set(api.said) == {"a", "b"}
    assert "no address left for s/c" in capsys.readouterr().out


def test_a_service_that_is_gone_frees_its_address(answering):
    api = Api(service("a"), service("b"))
    balancer = LoadBalancer(api, POOL)
    balancer.reconcile()
    api.now = [service("b", "LoadBalancer", api.said["b"]), service("c")]
    balancer.reconcile()
    assert api.said["c"] == api.said["a"]
