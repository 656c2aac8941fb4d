"""Provider kce for real but for the cloud: a stub of its API hands out two regions of the lab."""

import kce as stub
import pytest
from live.bare import client, regions
from live.files import write

from isthmus import binaries
from isthmus.adapters import helm, kubefed, kubefedctl, readiness
from isthmus.environment import load
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.istio_manifests import resolve
from isthmus.kubefed_manifests import NamespaceSpec
from isthmus.providers.kce import api, credentials
from isthmus.providers.lab import defaults
from isthmus.step_results import Access

NAME = "clouds"
CLUSTERS = {"one": "cn-beijing-6", "two": "cn-shanghai-2"}


@pytest.fixture(scope="module")
def handed_out(isthmus, tmp_path_factory):
    """Two bare regions, as the cloud's clusters would be."""
    with regions(isthmus, tmp_path_factory.mktemp("clouds"), "sky", list(CLUSTERS)) as found:
        yield found


@pytest.fixture
def cloud(isthmus, handed_out, monkeypatch):
    with stub.Kce() as made:
        made.polls = 1
        for name, path in handed_out.items():
            made.kubeconfigs[f"{NAME}_{name}"] = path.read_text()
        for name, value in {
            credentials.ACCESS_KEY_VARIABLE: stub.ACCESS,
            credentials.SECRET_KEY_VARIABLE: stub.SECRET,
            api.ENDPOINT: made.url,
        }.items():
            monkeypatch.setitem(isthmus.env, name, value)
        yield made


def environment(folder):
    lab = defaults.DEFAULTS
    content = stub.content(NAME, list(CLUSTERS))
    return write(
        folder / "clouds.yaml",
        **{**content, "kce": {**stub.COMMON, "version": "v1.36.3"}},
        images=lab.images.model_dump(exclude_none=True),
        resources=lab.resources.model_dump(exclude_none=True),
        overlays={"host": lab.host_overlay, "remote": lab.remote_overlay},
    )


def make_federation(file, clusters, identities):
    """Do what a person does in the console: a federation in the host, each cluster a member."""
    of = load(file)
    host, *_ = accesses = [
        Access(cluster=name, kubeconfig=path, context=name) for name, path in clusters.items()
    ]
    kube = client(host.cluster, host.kubeconfig)
    space = NamespaceSpec(KUBEFED_NAMESPACE, {}, {host.cluster: {}}).namespace(host.cluster)
    kube.apply([space], owner="")
    values = resolve(of, defaults.DEFAULTS).kubefed_values()
    chart, program = binaries.ensure(of, binaries.CHART), binaries.ensure(of, "helm")
    helm.install(program, host, kubefed.RELEASE, KUBEFED_NAMESPACE, chart, values)
    readiness.await_deployment(kube, kubefed.WEBHOOK, KUBEFED_NAMESPACE)
    readiness.start_deployment(kube, kubefed.CONTROLLERS, KUBEFED_NAMESPACE)
    readiness.await_deployment(kube, kubefed.CONTROLLERS, KUBEFED_NAMESPACE)
    join = binaries.ensure(of, "kubefedctl")
    for access in accesses:
        identity = identities[access.cluster]
        kubefedctl.join(join, host, access.model_copy(update={"member": identity}))
        kubefed.await_member(kube, identity)
    text = "".join(f"- name: context-{identity}\n" for identity in identities.values())
    meta = {"name": "kubefedconfig", "namespace": "kube-system"}
    data = {"config": f"kind: Config\ncontexts:\n{text}"}
    kube.apply(
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}], owner=""
    )
    return kube


def test_clusters_are_bought_joined_by_the_console_meshed_proven_and_given_back(
    isthmus, handed_out, cloud, tmp_path
):
    file = environment(tmp_path)
    _, err = isthmus.run("up", file, code=64)
    assert "This will buy:" in err and not cloud.clusters
    _, err = isthmus.run("up", file, "--yes", code=69)
    assert "no federation: " in err and "federation: isthmus" in err
    identities = {
        name: found["ClusterId"] for name in CLUSTERS for found in cloud.named(f"{NAME}_{name}")
    }
    host = make_federation(file, handed_out, identities)

    assert isthmus.document("up", file)["verdict"] == "pass"
    assert isthmus.document("status", NAME)["verdict"] == "pass"
    made = host.get("FederatedDeployment", "helloworld", "sample", kubefed.TYPES_API)
    placed = {entry["name"] for entry in made["spec"]["placement"]["clusters"]}
    assert placed == set(identities.values())
    assert len(cloud.asked("CreateCluster")) == 2

    _, err = isthmus.run("down", NAME, code=64)
    assert "This will delete:" in err and len(cloud.clusters) == 2
    isthmus.run("down", NAME, "--yes")
    assert cloud.clusters == {}
    for name, path in handed_out.items():
        services = client(name, path).objects("Service")
        assert not [s for s in services if s["spec"].get("type") == "LoadBalancer"]
    for identity in identities.values():
        assert kubefed.member_is_ready(host, identity), "the console's federation is not ours"
    assert not (isthmus.home / "environments" / NAME).exists()
