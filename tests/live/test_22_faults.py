"""Each fault by itself: `isthmus diagnose` names it first, and nothing once it is mended."""

import pytest
from live import diagnosing

CORE = frozenset({
    "f09_ca_bundle_other", "f11_endpoint_wrong", "f12_no_address", "f14_port_dropped",
    "f33_gateway_scaled", "f46_scaled", "f47_gateway_deleted", "f48_deny",
})  # fmt: skip
"""Faults that every run of all tests breaks; the others are `long`."""


def faults():
    """Return every fault, those beyond the core marked as long."""
    return [
        pytest.param(name, marks=() if name in CORE else pytest.mark.long)
        for name in diagnosing.names()
    ]


@pytest.fixture(scope="module", autouse=True)
def healthy(mesh):
    """A mesh that is as built: tests before this one may have left it a moment ago."""
    found = diagnosing.until_healthy(mesh)
    assert found.named, diagnosing.told(found.found)


def test_nothing_is_found_in_a_healthy_mesh(mesh):
    found = diagnosing.diagnose(mesh)
    assert not found, diagnosing.told(found)


@pytest.mark.parametrize("name", faults())
def test_the_cause_is_named_first(mesh, name):
    fault = diagnosing.load(name)
    try:
        fault.break_mesh(mesh)
        seen = diagnosing.until_named(mesh, fault)
    finally:
        fault.mend(mesh)
    after = diagnosing.until_healthy(mesh)
    expected = f"{fault.EXPECT} {'/'.join(fault.CLUSTERS or ('anywhere',))}"
    assert seen.named, f"{expected} was to be first:\n{diagnosing.told(seen.found)}"
    assert after.named, f"mended, and still:\n{diagnosing.told(after.found)}"


@pytest.mark.long
def test_the_negative_control_sees_the_closed_port_and_opens_it_again(mesh):
    document = mesh.isthmus.document("verify", mesh.name, "--control")
    assert (document["before"], document["after"], document["verdict"]) == ("pass",) * 3
    assert document["closed"] == {"cluster": "nairobi", "port": 15443}
    assert document["during"]["causes"][0]["id"] == "F14"
