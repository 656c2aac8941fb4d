"""Parts of a healthy snapshot that are no objects: secrets' facts, istiods, proxies, probes."""

from dataclasses import dataclass

from snapshot_objects import HELLOWORLD, SAMPLE, SYSTEM

from isthmus.diagnosis.snapshot import (
    CaFacts,
    IstiodSnapshot,
    ProxyEndpoint,
    ProxySnapshot,
    RemoteSecretFacts,
    TokenFacts,
    TokenLogin,
)
from isthmus.stacks import load

HOST = "beijing"
READER = "system:serviceaccount:istio-system:istio-reader-service-account"
SPIFFE = "spiffe://cluster.local/ns/{}/sa/{}"


@dataclass(frozen=True)
class Place:
    """A cluster's names and addresses."""

    number: int
    name: str
    stack_name: str = "istio-1.31"

    @property
    def stack(self):
        return load(self.stack_name)

    @property
    def network(self):
        return f"network{self.number + 1}"

    @property
    def host(self):
        return self.number == 0

    @property
    def has_istiod(self):
        return self.host or self.stack.istiod_in_remotes

    @property
    def signer(self):
        """Whose intermediate signs the cluster's proxies."""
        return self.name if self.has_istiod else HOST

    @property
    def server(self):
        return f"https://172.16.{self.number}.10:6443"

    @property
    def gateway(self):
        return f"198.18.{self.number + 1}.200"

    @property
    def uid(self):
        return f"00000000-0000-4000-8000-{self.number:012}"

    def pod(self, last):
        return f"10.{10 + self.number}.0.{last}"

    def service(self, last):
        return f"10.{100 + self.number}.0.{last}"


HELLO, SLEEP, GATEWAY, ISTIOD, DNS = 7, 9, 5, 3, 2
"""The last numbers of pods' and Services' addresses."""


def cacerts(place, trust, now):
    own = trust.intermediate(place.name)
    return CaFacts(
        signing=own,
        chain=(own, trust.root),
        roots=(trust.root,),
        key_matches=True,
        signed_by_root=True,
        changed_at=now - 86_400,
    )


def remote_secret(place, trust, now):
    _, authority = trust.api_server(place.name)
    login = TokenLogin(asked=True, status=201, message="Created", user=READER, uid=place.uid)
    return RemoteSecretFacts(
        name=f"istio-remote-secret-{place.name}",
        namespace=SYSTEM,
        labelled=True,
        annotation=place.name,
        key=place.name,
        server=place.server,
        authority=authority,
        user_kind="token",
        token=TokenFacts(subject=READER, issuer="kubernetes/serviceaccount"),
        login=login,
        written_at=now - 80_000,
    )


def istiod(place, places, now):
    """Return the istiod of a place: the host's knows all clusters, a remote's its own alone."""
    known = places if place.host else [place]
    version = place.stack.versions.istio
    proxies = [p for each in known for p in syncz(each, version)]
    return IstiodSnapshot(
        pod="istiod-5d4f8-x2x9k",
        started_at=now - 86_000,
        version=version,
        env={"CLUSTER_ID": place.name, "EXTERNAL_ISTIOD": "true", "REVISION": "default"},
        clusters=[clusterz(p, p is place) for p in known],
        endpoint_shards={HELLOWORLD: {SAMPLE: shards(known)}},
        networks=[network(p) for p in known],
        proxies=proxies,
        mesh={"trustDomain": "cluster.local", "rootNamespace": SYSTEM, "enableTracing": True},
    )


def clusterz(place, own):
    secret = "" if own else f"{SYSTEM}/istio-remote-secret-{place.name}"
    return {"id": place.name, "syncStatus": "synced"} | ({"secretName": secret} if secret else {})


def shards(known):
    return {f"Kubernetes/{p.name}": [p.pod(HELLO)] for p in known}


def network(place):
    gateway = {"Network": place.network, "Cluster": place.name, "Addr": place.gateway}
    return {**gateway, "Port": place.stack.gateway.port, "HBONEPort": 0}


def syncz(place, version):
    """Return what istiod says of each proxy of a cluster: nonces, by type sent and acked."""
    gateway = f"{place.stack.gateway.name}-6d-1.{SYSTEM}"
    pods = (gateway, f"helloworld-7c-1.{SAMPLE}", f"sleep-5b-1.{SAMPLE}")
    types = ("cluster", "listener", "route", "endpoint")
    nonces = {f"{t}_{way}": f"n-{t}" for t in types for way in ("sent", "acked")}
    return [
        {"cluster_id": place.name, "proxy": pod, "istio_version": version, **nonces} for pod in pods
    ]


def proxies(place, places, trust):
    """Return a cluster's gateway, its helloworld and its caller."""
    name = place.stack.gateway.name
    inner = {f"outbound_.5000_._.{HELLOWORLD}": [_endpoint(place.pod(HELLO), 5000, place)]}
    view = (place.network,)
    account = f"{name}-service-account"
    gateway = _proxy(place, trust, f"{name}-6d-1", SYSTEM, account, inner)
    update = {"kind": "gateway", "app": name, "requested_network_view": view}
    env = {**gateway.env, "ISTIO_META_REQUESTED_NETWORK_VIEW": place.network}
    outer = {f"outbound|5000||{HELLOWORLD}": [_way(p, place) for p in places]}
    return [
        gateway.model_copy(update={**update, "env": env}),
        _proxy(place, trust, "helloworld-7c-1", SAMPLE, "default", outer),
        _proxy(place, trust, "sleep-5b-1", SAMPLE, "default", outer),
    ]


def _way(target, place):
    if target is place:
        return _endpoint(place.pod(HELLO), 5000, place)
    return _endpoint(target.gateway, place.stack.gateway.port, target)


def _endpoint(address, port, place):
    return ProxyEndpoint(
        address=address, port=port, requests=20, successes=20, network=place.network
    )


def _proxy(place, trust, pod, namespace, account, endpoints):
    return ProxySnapshot(
        pod=pod,
        namespace=namespace,
        kind="sidecar",
        app=pod.rsplit("-", 2)[0],
        env={
            "ISTIO_META_CLUSTER_ID": place.name,
            "ISTIO_META_NETWORK": place.network,
            "CA_ADDR": "istiod.istio-system.svc:15012",
        },
        version=place.stack.versions.istio,
        cluster_id=place.name,
        network=place.network,
        leaf=trust.leaf(place.signer, SPIFFE.format(namespace, account)),
        roots=(trust.root,),
        endpoints=endpoints,
    )
