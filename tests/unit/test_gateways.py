"""Gateways: an address that the stack's Istio would pass over in silence is refused."""

import pytest
from world import environment

from isthmus.adapters import readiness
from isthmus.errors import Rejected
from isthmus.istio_manifests import resolve_environment


@pytest.fixture
def opened(world, monkeypatch):
    """Return what opens the host's gateway once its load balancer has this address."""
    from tasks.gateways import open_gateway

    def opens(stack, address):
        monkeypatch.setattr(readiness, "await_address", lambda *what: address)
        monkeypatch.setattr(readiness, "await_deployment", lambda *what: None)
        return open_gateway.fn(
            resolve_environment(environment(stack=stack)), world.host.access, None
        ).found

    return opens


def test_a_load_balancer_with_a_host_name_is_refused_where_istio_needs_an_address(opened):
    with pytest.raises(Rejected) as caught:
        opened("guide", "lb.example")
    assert caught.value.cluster == "beijing"
    assert "lb.example" in caught.value.message and "loadBalancerIP" in caught.value.hint
    assert opened("guide", "198.18.0.3") == "198.18.0.3:443"


def test_where_istio_looks_host_names_up_one_is_taken(opened):
    assert opened("istio-1.31", "lb.example") == "lb.example:15443"
