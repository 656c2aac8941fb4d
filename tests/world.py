"""Clusters in memory with their controllers, and tools that act on them: enough for whole flows."""

import base64
import json
import re
import threading
from pathlib import Path

import yaml
from fakes import FakeKube, limit

from isthmus import binaries, providers
from isthmus.adapters import helm, istioctl, kube, kubeconfigs, kubefed, kubefedctl, tls
from isthmus.collectors import mesh
from isthmus.environment import ClusterSpec, Environment, VerificationSpec
from isthmus.environment.namespaces import KUBEFED_NAMESPACE
from isthmus.errors import NotReady
from isthmus.providers.base import ProviderDefaults
from isthmus.step_results import Access
from tasks import federation

REGIONS = ("beijing", "shanghai")
CANARY = "canary-token-7f3a"
"""The secret that clusters in memory hand out."""
GATEWAY = "istio-eastwestgateway"
SIDECAR = "outbound|5000||helloworld.sample.svc.cluster.local"


def environment(federation="kubefed", name="pair", regions=REGIONS, **more):
    specs = [ClusterSpec(name=n, region=n, network=f"net-{n}") for n in regions]
    return Environment(
        name=name,
        federation=federation,
        host=specs[0],
        remotes=specs[1:],
        verification=VerificationSpec(requests=40),
        **more,
    )


class World:
    """Regions. `joins` lists who was joined; `troubles` are raised by the next joins.

    `released` lists whom the provider was told to release.
    """

    disposable = False
    defaults = ProviderDefaults()

    def __init__(self, folder, token="token", regions=REGIONS):
        self.folder, self.token = folder, token
        self.kubes, self.joins, self.troubles, self.deleted = {}, [], {}, 0
        self.released = []
        self.lock = threading.RLock()
        for number, name in enumerate(regions):
            self.kubes[name] = self._cluster(name, number)
        self.host = self.kubes[regions[0]]

    def install(self, monkeypatch):
        """Stand in for everything that reaches out of this process."""
        monkeypatch.setattr(providers, "get_provider", lambda environment: self)
        monkeypatch.setattr(kube, "connect", lambda access: self.kubes[access.cluster])
        monkeypatch.setattr(kube, "clear_clients", lambda: None)
        monkeypatch.setattr(istioctl, "manifests", lambda program, operator: istio())
        monkeypatch.setattr(tls, "handshake", lambda *where: "")
        monkeypatch.setattr(helm, "is_installed", lambda client, *what: client.get_release())
        monkeypatch.setattr(helm, "install", self._helm_install)
        monkeypatch.setattr(helm, "get_manifest", lambda client, *what: [])
        monkeypatch.setattr(helm, "uninstall", lambda *what: setattr(self.host, "release", False))
        monkeypatch.setattr(kubefedctl, "join", self._join)
        monkeypatch.setattr(kubefedctl, "unjoin", self._unjoin)
        monkeypatch.setattr(kubefed, "WATCH_START_SECONDS", -1.0)
        limit(monkeypatch, endpoints=-1)
        monkeypatch.setattr(binaries, "ensure", lambda environment, name: Path("/", name))
        monkeypatch.setattr(mesh, "take_snapshot", self._undiagnosed)

    def _undiagnosed(self, environment):
        raise NotReady("clusters in memory have no proxies to ask")

    def check(self, environment):
        pass

    def ensure(self, environment, cluster):
        return self.access(environment, cluster)

    def access(self, environment, cluster):
        return self.kubes[cluster.name].access

    def release(self, environment, cluster):
        self.released.append(cluster.name)

    def delete(self, environment):
        self.deleted += 1

    def wired(self):
        """Return the host and the clusters whose secrets it has: those that its proxies know."""
        secrets = [name for _, kind, _, name in self.host.store if kind == "secrets"]
        names = [n.removeprefix("istio-remote-secret-") for n in secrets]
        return [c for n, c in self.kubes.items() if c is self.host or n in names]

    def writes(self):
        return {name: list(cluster.writes) for name, cluster in self.kubes.items()}

    def left(self):
        """Return what still bears a label of ours, by cluster."""
        return {
            name: sorted(key[3] for key, m in cluster.store.items() if "isthmus/" in json.dumps(m))
            for name, cluster in self.kubes.items()
        }

    def _cluster(self, name, number):
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(kubeconfig(name, self.token)))
        uid = f"uid-of-{name}"
        access = Access(cluster=name, kubeconfig=path, context="admin", uid=uid)
        made = Cluster(access, f"10.244.{number}.1", f"198.18.{number}.3", self)
        made.put({**node(), "metadata": {"name": name}})
        return made

    def _helm_install(self, program, access, name, namespace, chart, values):
        self.host.put(rolled_out(deployment(federation.WEBHOOK, namespace)))
        controllers = deployment(federation.CONTROLLERS, namespace)
        controllers["spec"]["replicas"] = values["controllermanager"]["controller"]["replicaCount"]
        self.host.put(controllers)
        self.host.release = True

    def _join(self, program, host, access):
        member, name = access.cluster, access.member_name
        self.joins.append(member)
        if troubles := self.troubles.get(member):
            raise troubles.pop(0)
        self.host.put(
            {
                "apiVersion": kubefed.CORE_API,
                "kind": "KubeFedCluster",
                "metadata": {"name": name, "namespace": KUBEFED_NAMESPACE},
                "spec": kubeconfigs.kubefed_cluster_spec(access),
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
        )

    def _unjoin(self, program, host, access):
        self.joins.remove(access.cluster)
        where = (kubefed.CORE_API, "kubefedclusters", KUBEFED_NAMESPACE, access.member_name)
        self.host.store.pop(where)


class Cluster(FakeKube):
    """One region with its controllers: pods come up, addresses are given, KubeFed carries over."""

    def __init__(self, access, pod, address, world):
        super().__init__(access)
        self.pod, self.address, self.world, self.release = pod, address, world, False
        self.reactions = [self._run, self._carry]
        self.program = self._execute
        self.answering = True
        self.shut = 0
        """So many requests to other regions find no connection first, and are repeated here."""
        self.exec_troubles = []
        """Raised by the next commands in its pods."""
        self.counts = {}
        self.asked = 0
        self.on_their_way = []

    def request(self, *what):
        with self.world.lock:
            return super().request(*what)

    def get_release(self):
        return self.release

    def _run(self, cluster, m):
        name, kind = m["metadata"]["name"], m["kind"]
        if kind == "Deployment":
            self.put(rolled_out(m))
            self._start_pod(m)
        elif kind == "Service" and name == GATEWAY:
            m["status"] = {"loadBalancer": {"ingress": [{"ip": self.address}]}}
        elif m.get("type") == "kubernetes.io/service-account-token":
            m["data"] = {"token": base64.b64encode(self.world.token.encode()).decode()}
            m["data"]["ca.crt"] = "Q0E="
        elif name.startswith("istio-remote-secret-"):
            self._serve(self.world.kubes[name.removeprefix("istio-remote-secret-")])

    def _start_pod(self, m):
        labels = dict(m["spec"]["template"]["metadata"]["labels"])
        meta = {"name": f"{m['metadata']['name']}-{self.access.cluster}", "labels": labels}
        ready = [{"type": "Ready", "status": "True"}]
        pod = {"apiVersion": "v1", "kind": "Pod", "status": {"podIP": self.pod}}
        meta["namespace"] = m["metadata"]["namespace"]
        if meta["namespace"] == "sample":
            labels["security.istio.io/tlsMode"] = "istio"
        self.put({**pod, "metadata": meta, "status": {"podIP": self.pod, "conditions": ready}})

    def _serve(self, remote):
        meta = {"name": "istio-ca-root-cert", "namespace": "istio-system"}
        labels = {"istio.io/config": "true"}
        remote.put(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "labels": labels}}
        )
        for m in remote.store.values():
            for hook in m.get("webhooks", []):
                hook["clientConfig"] = {**hook["clientConfig"], "caBundle": "Q0E="}

    def _carry(self, cluster, m):
        if not m["kind"].startswith("Federated"):
            return
        clusters = [c["name"] for c in m["spec"]["placement"]["clusters"]]
        plain = {**m["spec"]["template"], "kind": m["kind"].removeprefix("Federated")}
        plain["apiVersion"] = "apps/v1" if plain["kind"] == "Deployment" else "v1"
        # KubeFed takes name and namespace of the federated object, never its annotations.
        own = {k: m["metadata"][k] for k in ("name", "namespace")}
        plain["metadata"] = {**own, **plain["metadata"]}
        for name in clusters:
            self.world.kubes[name]._patch(None, json.loads(json.dumps(plain)))
        m["status"] = {
            "observedGeneration": m["metadata"]["generation"],
            "conditions": [{"type": "Propagation", "status": "True"}],
            "clusters": [{"name": name} for name in clusters],
        }

    def _execute(self, pod, argv):
        if self.exec_troubles:
            raise self.exec_troubles.pop(0)
        if argv[0] == "pilot-agent" and pod.startswith(GATEWAY):
            return self._through_gateway(), ""
        if found := re.search(r"#\[1-(\d+)\]", argv[-1]):
            return self._answers(int(found[1])), ""
        ways = [c.address for c in self.world.wired() if c is not self]
        hosts = [(self.pod, 5000), *((address, 15443) for address in ways)]
        table = [
            {
                "address": {"socket_address": {"address": a, "port_value": p}},
                "weight": 1,
                "stats": [{"name": n, "value": str(v)} for n, v in self._counted(a).items()],
            }
            for a, p in hosts
        ]
        return json.dumps({"cluster_statuses": [{"name": SIDECAR, "host_statuses": table}]}), ""

    def _through_gateway(self):
        """Return the gateway's table; what is on its way through it ends one by one."""
        open_now = self.on_their_way.pop(0) if self.on_their_way else 0
        stats = [{"name": "cx_active", "value": open_now}, {"name": "cx_total", "value": 9}]
        host = {"address": {"socket_address": {"address": self.pod, "port_value": 5000}}}
        statuses = [
            {"name": "outbound_.5000_._.x.local", "host_statuses": [{**host, "stats": stats}]}
        ]
        return json.dumps({"cluster_statuses": statuses})

    def _answers(self, n):
        regions = [c for c in self.world.wired() if c.answering]
        with self.world.lock:
            begin, self.asked = self.asked, self.asked + n
            turns = [regions[i % len(regions)] for i in range(begin, begin + n)]
            said = [self._answered_by(region).access.cluster for region in turns]
        hello = "Hello version: v1, instance: helloworld-{}\n\n200 1 \n"
        return "".join(hello.format(region) for region in said)

    def _answered_by(self, region):
        """Return who answers, and count as a sidecar does."""
        counted = self._counted(region.pod if region is self else region.address)
        counted["rq_total"] += 1
        if region is not self and self.shut:
            self.shut -= 1
            counted["cx_connect_fail"] += 1
            return self
        counted["rq_success"] += 1
        return region

    def _counted(self, address):
        names = ("rq_total", "rq_success", "rq_error", "cx_connect_fail")
        return self.counts.setdefault(address, dict.fromkeys(names, 0))


def istio():
    """Return the objects that matter of those that istioctl renders."""
    system = {"namespace": "istio-system"}
    hook = {"name": "inject", "clientConfig": {"url": "https://istiod"}, "failurePolicy": "Fail"}
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "istio-sidecar-injector"},
            "webhooks": [hook],
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": GATEWAY, **system}},
        deployment("istiod", "istio-system"),
        deployment(GATEWAY, "istio-system", istio="eastwestgateway"),
    ]


def deployment(name, namespace, **labels):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"metadata": {"labels": {"app": name, **labels}}}},
    }


def rolled_out(manifest):
    generation = manifest["metadata"].get("generation", 0)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
    meta = {**manifest["metadata"], "generation": generation}
    status = {"observedGeneration": generation, **counts}
    return {**manifest, "metadata": meta, "status": status}


def node():
    ready = [{"type": "Ready", "status": "True"}]
    return {"apiVersion": "v1", "kind": "Node", "status": {"conditions": ready}}


def kubeconfig(name, token):
    cluster = {"server": f"https://{name}:6443", "certificate-authority-data": "Q0E="}
    return {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
    }
