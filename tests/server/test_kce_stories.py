"""The stories on Kingsoft Cloud: its console's federation is taken over and left as it is."""

import json

import kce as stub
import pytest
from world import GATEWAY, World

from isthmus import state
from isthmus.adapters import kubefed
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.errors import Unprepared, Usage

pytestmark = pytest.mark.usefixtures("prefect")
MEMBERS = {
    "beijing": "fcb0f8d3-9907-4a4a-9653-4584b367ee29",
    "shanghai": "d161c69e-286b-4541-901f-b121c9517f4e",
}
"""The guide's."""


def of(**more):
    more = {"kce": {**stub.COMMON, "federation": "console"}, **more}
    return stub.of(verification={"requests": 40}, **more)


class Known(dict):
    """Clusters by name; the federation finds them by identity too."""

    def __missing__(self, identity):
        return self[next(name for name, known in MEMBERS.items() if known == identity)]


@pytest.fixture
def console(world, monkeypatch):
    """Two clusters of the cloud, in a federation that its console made."""
    world.kubes = Known(world.kubes)
    monkeypatch.setattr(World, "disposable", True)
    real = World.access

    def access(self, environment, cluster):
        member = MEMBERS[cluster.name] if environment.has_console_federation else ""
        return real(self, environment, cluster).model_copy(update={"member": member})

    monkeypatch.setattr(World, "access", access)
    contexts = [{"name": f"context-{identity}"} for identity in MEMBERS.values()]
    text = json.dumps({"kind": "Config", "contexts": contexts, "users": ["canary-federation"]})
    made = {"readme": "not this one", "config": text}
    meta = {"name": "kubefedconfig", "namespace": "kube-system"}
    world.host.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": made})
    for identity in MEMBERS.values():
        world.host.put(member(identity))
    return world


def member(identity):
    return {
        "apiVersion": kubefed.CORE_API,
        "kind": "KubeFedCluster",
        "metadata": {"name": identity, "namespace": KUBEFED_NAMESPACE},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def build(environment, **more):
    from flows.build import build

    return build(environment, **{"buy": True, **more})


def federated_object(world, kind, name, namespace):
    return world.host.get(kind, name, namespace, kubefed.TYPES_API)


def test_the_consoles_federation_carries_everything_under_the_clusters_identities(console, told):
    assert build(of()).verdict == "pass"
    assert not console.joins and not console.host.release
    steps = {name for _, name, _ in told}
    assert "take over federation" in steps
    assert not steps & {"install federation", "join", "start federation"}
    for kind, name, namespace in [
        ("FederatedNamespace", "istio-system", "istio-system"),
        ("FederatedSecret", "cacerts", "istio-system"),
        ("FederatedDeployment", "helloworld", "sample"),
    ]:
        spec = federated_object(console, kind, name, namespace)["spec"]
        assert [c["name"] for c in spec["placement"]["clusters"]] == list(MEMBERS.values())
        assert {o["clusterName"] for o in spec["overrides"]} <= set(MEMBERS.values())
    path = state.folder("pair") / "kce" / "federation.kubeconfig"
    assert path.stat().st_mode & 0o777 == 0o600 and "canary-federation" in path.read_text()
    before = console.writes()
    assert build(of()).verdict == "pass" and console.writes() == before


def test_without_a_federation_both_ways_to_go_on_are_said(console):
    console.host.store.pop(("v1", "configmaps", "kube-system", "kubefedconfig"))
    with pytest.raises(Unprepared, match="no federation: ") as caught:
        build(of())
    assert caught.value.cluster == "beijing"
    assert "KCE console" in caught.value.hint and "federation: isthmus" in caught.value.hint
    assert build(of(kce={**stub.COMMON, "federation": "isthmus"})).verdict == "pass"
    assert sorted(console.joins) == ["beijing", "shanghai"]


def test_a_cluster_that_is_in_no_federation_is_named(console):
    where = (kubefed.CORE_API, "kubefedclusters", KUBEFED_NAMESPACE, MEMBERS["shanghai"])
    console.host.store.pop(where)
    with pytest.raises(Unprepared, match=f"shanghai .{MEMBERS['shanghai']}") as caught:
        build(of())
    assert "Add Member Cluster" in caught.value.hint


def test_down_never_touches_the_consoles_federation(console, told):
    from flows.teardown import teardown

    build(of())
    before = console.writes()
    teardown(of())
    assert console.deleted == 1 and console.writes() == before
    # The clusters go whole: nothing is taken out of them before.
    assert console.host.get("Service", GATEWAY, "istio-system")


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("story", ["build", "rebuild"])
def test_a_run_that_nobody_allowed_to_buy_changes_nothing(console, story, cloud):
    import flows.build
    import flows.rebuild

    told = getattr(getattr(flows, story), story)
    with pytest.raises(
        Usage, match="would be bought, and this was not confirmed: beijing"
    ) as caught:
        told(of())
    assert "set parameter buy" in caught.value.hint
    assert not state.stored_environment_path("pair").exists() and console.deleted == 0
    assert console.writes() == {"beijing": [], "shanghai": []}


def test_a_rebuild_buys_though_all_is_there_and_so_needs_a_yes(console, cloud):
    from flows.rebuild import rebuild
    from isthmus.providers.kce import payloads

    for cluster in of().clusters:
        name = payloads.name("pair", cluster.name)
        cloud.put(name, payloads.cluster_description("pair", cluster.name), region=cluster.region)
    with pytest.raises(Usage):
        rebuild(of())
    assert console.deleted == 0
    assert build(of(), buy=False).verdict == "pass"


def test_credentials_are_read_from_a_block_by_the_steps_that_need_them(cloud, monkeypatch):
    from prefect.blocks.system import Secret

    from isthmus.providers.kce import credentials
    from isthmus.providers.kce.provider import KceProvider
    from tasks import prefect_blocks

    content = {"access_key": stub.ACCESS, "secret_key": stub.SECRET}
    Secret(value=content).save("ksyun-test", overwrite=True)
    monkeypatch.delenv(credentials.ACCESS_KEY_VARIABLE)
    named = of(kce={**stub.COMMON, "credentials_block": "ksyun-test"})
    lacking = of(kce={**stub.COMMON, "credentials_block": "no-such-block"})
    with prefect_blocks.read_secret_blocks():
        assert len(KceProvider().planned_purchases(named)) == 2
        with pytest.raises(Unprepared, match="no Secret block no-such-block"):
            KceProvider().planned_purchases(lacking)
