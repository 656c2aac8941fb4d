"""What the mesh is made of: the environment's words win, what makes it one mesh is always there."""

import pytest

from isthmus.environment import (
    ClusterSpec,
    Environment,
    Images,
    Overlays,
    ResourceRequests,
    Resources,
)
from isthmus.istio_manifests import resolve
from isthmus.providers.base import ProviderDefaults
from isthmus.providers.lab import defaults
from isthmus.stacks import load

GATEWAY = "istio-eastwestgateway"
PAIR = [ClusterSpec(name=n, region=n, network=f"net-{n}") for n in ("beijing", "shanghai")]


def whole(defaults=None, **more):
    given = Environment(name="pair", provider="lab", host=PAIR[0], remotes=PAIR[1:], **more)
    return resolve(given, defaults or ProviderDefaults())


def gateway(operator):
    return next(
        g for g in operator["spec"]["components"]["ingressGateways"] if g["name"] == GATEWAY
    )


def test_where_nobody_says_anything_the_stack_does():
    assert whole().images == load("istio-1.31").images


def test_the_environment_wins_over_the_provider_and_that_over_the_stack():
    defaults = ProviderDefaults(images=Images(hub="lab.example/a", tag="lab"))
    images = whole(defaults, images=Images(tag="mine")).images
    assert (images.hub, images.tag) == ("lab.example/a", "mine")
    assert images.kubefed == load("istio-1.31").images.kubefed


def test_requests_are_the_environments_part_by_part():
    defaults = ProviderDefaults(
        resources=Resources(istiod=ResourceRequests(cpu="10m", memory="1Mi"))
    )
    own = Resources(istiod=ResourceRequests(cpu="2"), sidecar=ResourceRequests(memory="9Mi"))
    operator = whole(defaults, resources=own).host_operator()
    values = operator["spec"]["values"]
    assert values["pilot"]["resources"]["requests"] == {"cpu": "2", "memory": "1Mi"}
    assert values["global"]["proxy"]["resources"]["requests"] == {"memory": "9Mi"}
    assert gateway(operator)["k8s"]["resources"] == {}


def test_overlays_lie_on_top_and_take_nothing_away():
    overlay = {
        "values": {"pilot": {"env": {"A": "b"}}},
        "components": {"ingressGateways": [{"name": GATEWAY, "k8s": {"replicaCount": 2}}]},
    }
    plain = whole(defaults.DEFAULTS)
    changed = whole(defaults.DEFAULTS, overlays=Overlays(host=overlay))
    operator = changed.host_operator()
    before = plain.host_operator()["spec"]["values"]["pilot"]["env"]
    assert operator["spec"]["values"]["pilot"]["env"] == {**before, "A": "b"}
    assert gateway(operator)["k8s"]["replicaCount"] == 2
    assert gateway(operator)["k8s"]["service"] == gateway(plain.host_operator())["k8s"]["service"]
    assert changed.remote_operator(PAIR[1], "x") == plain.remote_operator(PAIR[1], "x")


@pytest.mark.parametrize("cluster", PAIR, ids=lambda c: c.name)
def test_every_cluster_is_known_by_its_name_network_and_mesh(cluster):
    made = whole()
    host = cluster == PAIR[0]
    operator = made.host_operator() if host else made.remote_operator(cluster, "198.18.0.3")
    values = operator["spec"]["values"]["global"]
    assert values["meshID"] == "pair"
    assert values["network"] == cluster.network
    assert values["multiCluster"] == {"clusterName": cluster.name}
    assert gateway(operator)["label"]["topology.istio.io/network"] == cluster.network
    assert values.get("remotePilotAddress") == (None if host else "198.18.0.3")


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("quay.example/org/kubefed:v0.10.0", ("quay.example/org", "kubefed", "v0.10.0")),
        ("localhost:5000/kubefed:lab", ("localhost:5000", "kubefed", "lab")),
    ],
)
def test_kubefeds_image_is_taken_apart_as_its_chart_puts_it_together(image, parts):
    values = whole(images=Images(kubefed=image)).kubefed_values()["controllermanager"]
    for program in (values["controller"], values["webhook"]):
        assert (program["repository"], program["image"], program["tag"]) == parts


def test_only_what_needs_injected_pods_waits():
    def manifest(kind, name=GATEWAY):
        return {"kind": kind, "metadata": {"name": name}}

    made = whole()
    assert made.starts_last(manifest("Deployment"))
    assert not made.starts_last(manifest("Service"))
    assert not made.starts_last(manifest("Deployment", "istiod"))
    assert whole(stack="guide").starts_last(manifest("Deployment", "istio-ingressgateway"))


def test_the_host_runs_the_first_version_and_remotes_the_second():
    made = whole()
    federated = made.federated_helloworld()
    changed = {
        o["clusterName"]: {c["path"]: c["value"] for c in o["clusterOverrides"]}
        for o in federated["spec"]["overrides"]
    }
    [(name, overrides)] = changed.items()
    assert name == "shanghai"
    assert made.images.helloworld_v2 in overrides.values()
    assert federated["spec"]["template"]["spec"] == made.helloworld("v1")["spec"]


def test_the_samples_pods_are_as_a_clusters_keepers_want_them():
    limits = {"resources": {"limits": {"cpu": "1"}}}
    made = whole(pods={"spec": {"securityContext": {"runAsNonRoot": True}}, "container": limits})
    [caller] = [m for m in made.callers("beijing") if m["kind"] == "Deployment"]
    federated = made.federated_helloworld()["spec"]
    for template in (
        caller["spec"]["template"],
        made.helloworld("v2")["spec"]["template"],
        federated["template"]["spec"]["template"],
    ):
        assert template["spec"]["securityContext"] == {"runAsNonRoot": True}
        [container] = template["spec"]["containers"]
        assert container["resources"] == limits["resources"] and container["image"]
