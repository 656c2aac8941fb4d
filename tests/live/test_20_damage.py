"""A mesh that is broken on purpose must be red, and `up` must mend it."""

import pytest

GATEWAY = ("-n", "istio-system", "scale", "deployment/istio-eastwestgateway")


@pytest.fixture
def dead_gateway(mesh):
    """Take the gateway of one remote away. Every request is still answered, all by others."""
    mesh.kubectl("osaka", *GATEWAY, "--replicas=0")
    mesh.kubectl(
        "osaka", "-n", "istio-system", "wait", "--for=delete", "pod",
        "-l", "istio=eastwestgateway", "--timeout=90s",
    )  # fmt: skip
    yield
    mesh.kubectl("osaka", *GATEWAY, "--replicas=1")


def test_a_dead_gateway_is_red_though_every_request_is_answered(mesh, dead_gateway):
    document = mesh.isthmus.document("verify", mesh.name, code=79)
    assert document["verdict"] == "fail"
    host = next(c for c in document["clients"] if c["cluster"] == "lisbon")
    assert host["answers"]["osaka"] == 0
    assert host["failed"] == 0, "Istio retries elsewhere: errors alone would have shown nothing"
    assert any("osaka" in reason for reason in document["reasons"])


def test_up_mends_what_is_broken(mesh):
    mesh.kubectl("nairobi", *GATEWAY, "--replicas=0")
    mesh.kubectl("nairobi", "delete", "mutatingwebhookconfiguration", "istio-sidecar-injector")
    mesh.kubectl("lisbon", "-n", "istio-system", "delete", "gateways.networking.istio.io", "--all")
    document = mesh.isthmus.document("up", mesh.file)
    assert document["verdict"] == "pass"


def test_a_second_run_beside_the_first_is_refused_at_once(mesh):
    from isthmus import file_lock, state

    held = state.home
    state.home = lambda: mesh.isthmus.home
    try:
        with file_lock.acquire(mesh.name):
            _, err = mesh.isthmus.run("up", mesh.file, code=75)
    finally:
        state.home = held
    assert "is in use" in err
