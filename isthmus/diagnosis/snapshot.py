"""What was seen of every cluster at one moment, as plain data; nothing in it is secret.

Objects are those of the Kubernetes API, masked; secrets are told of by facts (subjects, expiry,
fingerprints, claims). What could not be asked is told in `errors`: that is evidence, too.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from isthmus.step_results import join_host_port

Object = dict[str, Any]
"""An object of the Kubernetes API, as JSON has it, masked."""

FILE_NAME = "snapshot.json"
"""How a snapshot's file is called, in an environment's folder and in an archive."""
FORMAT = 1
"""Raised when what stands here changes its meaning."""


class SnapshotPart(BaseModel):
    """Immutable; fields of a later format are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CertificateFacts(SnapshotPart):
    """What a certificate says of itself."""

    subject: str
    """RFC 4514, such as `O=isthmus-root`; empty for a proxy's own, which has SANs alone."""
    issuer: str
    serial: str
    """Hexadecimal, as openssl prints it."""
    fingerprint: str
    """SHA-256 of the DER form, hexadecimal."""
    key_fingerprint: str
    """SHA-256 of its public key (SubjectPublicKeyInfo)."""
    subject_key_id: str = ""
    authority_key_id: str = ""
    not_before: float
    not_after: float
    """Seconds since the epoch."""
    is_ca: bool = False
    sans: tuple[str, ...] = ()
    """DNS names and URIs (SPIFFE)."""


class CaFacts(SnapshotPart):
    """The Secret `cacerts` of a cluster, without its key."""

    form: str = "cacerts"
    """`cacerts` (ca-cert.pem and so on) or `tls` (tls.crt, tls.key, ca.crt)."""
    missing: tuple[str, ...] = ()
    """Keys of the Secret that ought to be there."""
    error: str = ""
    """Why it could not be read as certificates."""
    signing: CertificateFacts | None = None
    """ca-cert.pem: the intermediate that signs."""
    chain: tuple[CertificateFacts, ...] = ()
    """cert-chain.pem."""
    roots: tuple[CertificateFacts, ...] = ()
    """root-cert.pem."""
    key_matches: bool | None = None
    """Whether ca-key.pem is the signing certificate's key; None if that could not be told."""
    signed_by_root: bool | None = None
    """Whether the chain from the signing certificate to one of the roots verifies."""
    changed_at: float | None = None
    """Seconds since the epoch: when its data was last written (managedFields), else made."""


class TokenFacts(SnapshotPart):
    """The claims of a ServiceAccount's token (RFC 7519), without its signature."""

    subject: str = ""
    issuer: str = ""
    issued_at: float | None = None
    expires_at: float | None = None
    """Seconds since the epoch; None: it has no end."""
    error: str = ""
    """Why it is no JWT."""


class TokenLogin(SnapshotPart):
    """What an API server says to a remote secret's token (asked from where Isthmus runs)."""

    asked: bool = False
    """Whether an answer came at all."""
    status: int = 0
    """HTTP status of the SelfSubjectReview: 201 if the token is taken, 401 if not."""
    message: str = ""
    """What came back, in the server's or the connection's words."""
    user: str = ""
    """system:serviceaccount:NAMESPACE:NAME, as the server knows it."""
    denied: tuple[str, ...] = ()
    """`verb resource.group` of all that istiod needs and the token may not."""
    uid: str = ""
    """UID of the namespace kube-system of the API server that answered."""


class RemoteSecretFacts(SnapshotPart):
    """A Secret whose data is a kubeconfig: what istiod reads a cluster by."""

    name: str
    namespace: str
    labelled: bool
    """Whether it has the label istio/multiCluster=true."""
    annotation: str = ""
    """Its annotation networking.istio.io/cluster."""
    key: str
    """The key of its data: the cluster's ID for istiod."""
    error: str = ""
    """Why it is no kubeconfig that istiod takes."""
    server: str = ""
    proxy_url: str = ""
    """Without user and password."""
    tls_server_name: str = ""
    authority: tuple[CertificateFacts, ...] = ()
    """certificate-authority-data."""
    user_kind: str = ""
    """token, exec, auth-provider, client-certificate, basic or none."""
    token: TokenFacts | None = None
    login: TokenLogin = TokenLogin()
    created_at: float | None = None
    written_at: float | None = None
    """Seconds since the epoch: when it was made, and when it was last changed."""


class TlsProbe(SnapshotPart):
    """One way, tried from inside a pod: name, TCP, TLS, and who answered."""

    source: str
    """The cluster of the pod that asked."""
    source_pod: str = ""
    """namespace/name of it."""
    target: str
    """The cluster that is meant to answer."""
    purpose: str
    """`gateway` (15443), `istiod` (15012), `webhook` (15017), `api-server`."""
    host: str
    """The name or address that was dialled."""
    port: int
    server_name: str = ""
    """SNI."""
    alpn: tuple[str, ...] = ()
    skipped: str = ""
    """Why it was not tried at all; then all below is empty."""
    resolved: tuple[str, ...] = ()
    """Addresses, where `host` is a name."""
    connected: bool = False
    """Whether the TCP connection came about."""
    error: str = ""
    """What failed, in the words of the program that tried; empty if TLS came about."""
    error_at: str = ""
    """`name`, `tcp` or `tls`: what failed."""
    seconds: float = 0.0
    certificates: tuple[CertificateFacts, ...] = ()
    """The chain that was presented, leaf first."""
    alpn_selected: str = ""
    wants_client_certificate: bool | None = None

    @property
    def endpoint(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return join_host_port(self.host, self.port)


class IstiodSnapshot(SnapshotPart):
    """One replica of istiod: what its own debug interface says."""

    pod: str
    """Its name; the namespace is istio-system."""
    ready: bool = True
    started_at: float | None = None
    version: str = ""
    """As its own `version` says, such as 1.31.0."""
    env: dict[str, str] = Field(default_factory=dict)
    """The environment variables of its container that its manifest sets by value."""
    clusters: list[Object] | None = None
    """/debug/clusterz: id, secretName, syncStatus; None if it was not told."""
    endpoint_shards: Object | None = None
    """/debug/endpointShardz of the services that are looked at: service -> namespace -> shard key
    (`Kubernetes/CLUSTER`) -> [addresses]."""
    networks: list[Object] | None = None
    """/debug/networkz: network -> gateways."""
    proxies: list[Object] | None = None
    """/debug/syncz: proxy, cluster_id, istiod, and per type the status SYNCED, STALE, NOT SENT."""
    mesh: Object | None = None
    """/debug/mesh: MeshConfig as it is in force."""
    log: tuple[str, ...] = ()
    """Lines of its log that tell of a failure, the last 50 at most."""
    errors: dict[str, str] = Field(default_factory=dict)
    """question -> what came back in place of an answer."""


class ProxyEndpoint(SnapshotPart):
    """One endpoint of an Envoy cluster, with what the proxy counted since it started."""

    address: str
    port: int
    health: str = "HEALTHY"
    weight: int = 1
    requests: int = 0
    successes: int = 0
    errors: int = 0
    connect_failures: int = 0
    network: str = ""

    @property
    def text(self) -> str:
        """`ip:port`."""
        return join_host_port(self.address, self.port)


class ProxySnapshot(SnapshotPart):
    """One Envoy: a sidecar or a pod of a gateway."""

    pod: str
    namespace: str
    kind: str
    """`sidecar` or `gateway`."""
    app: str = ""
    """The pod's label app."""
    env: dict[str, str] = Field(default_factory=dict)
    """ISTIO_META_* and the like, of its container."""
    version: str = ""
    """Istio's version by its node's metadata; the image's tag if that is silent."""
    cluster_id: str = ""
    network: str = ""
    requested_network_view: tuple[str, ...] | None = None
    """None if it has none: then it sees every network."""
    leaf: tuple[CertificateFacts, ...] = ()
    """Its own certificate and what it presents with it, leaf first."""
    roots: tuple[CertificateFacts, ...] = ()
    """The roots by which it trusts others."""
    endpoints: dict[str, list[ProxyEndpoint]] = Field(default_factory=dict)
    """Envoy cluster -> endpoints, of clusters that lead to the services that are looked at (a
    sidecar: `outbound|5000||helloworld.sample.svc.cluster.local`; a gateway:
    `outbound_.5000_._.helloworld.sample.svc.cluster.local`)."""
    errors: dict[str, str] = Field(default_factory=dict)


class AdmissionResult(SnapshotPart):
    """What the API server did with a pod that was created as a dry run in an injected namespace."""

    namespace: str
    allowed: bool = False
    injected: bool = False
    """Whether it came back with a container istio-proxy."""
    message: str = ""
    """The refusal's own words."""
    status: int = 0


class NameLookup(SnapshotPart):
    """A name, looked up from a pod of a cluster."""

    cluster: str
    name: str
    resolver: str = ""
    """`pod` (the caller's) or `dns` (a gateway's, which never asked for this name before)."""
    addresses: tuple[str, ...] = ()
    error: str = ""


class ClusterSnapshot(SnapshotPart):
    """One cluster."""

    name: str
    region: str = ""
    network: str = ""
    host: bool = False
    """Whether it has the control plane."""
    server: str = ""
    """URL of its API server, as the kubeconfig has it."""
    reachable: bool = True
    unreachable_reason: str = ""
    """Why it gave no answer, with what to do, if it gave none."""
    version: str = ""
    uid: str = ""
    """Of the namespace kube-system."""
    objects: dict[str, list[Object]] = Field(default_factory=dict)
    """Kind -> objects, masked. A kind is missing if it could not be listed (then `errors` has it
    as `list KIND`) or the cluster does not serve it (an empty list)."""
    cacerts: CaFacts | None = None
    """None if there is no such Secret (or `errors` has `cacerts`)."""
    remote_secrets: list[RemoteSecretFacts] = Field(default_factory=list)
    istiods: list[IstiodSnapshot] = Field(default_factory=list)
    proxies: list[ProxySnapshot] = Field(default_factory=list)
    proxies_left_out: int = 0
    """Sidecars beyond the bound, which were not asked."""
    admission: list[AdmissionResult] = Field(default_factory=list)
    lookups: list[NameLookup] = Field(default_factory=list)
    kubelet_errors: list[str] = Field(default_factory=list)
    """What is said of kubelets that the API server does not reach."""
    errors: dict[str, str] = Field(default_factory=dict)
    """question -> what came back in place of an answer, such as `list Secret` -> `403 ...`."""


class Snapshot(SnapshotPart):
    """A mesh at one moment."""

    format: int = FORMAT
    isthmus: str = ""
    """Version of the program that took it."""
    taken_at: float
    """Seconds since the epoch; expiry is judged by it, so that an old snapshot tells the same."""
    seconds: float = 0.0
    environment: Object
    """The environment file, defaults filled in (isthmus.environment.Environment)."""
    clusters: list[ClusterSnapshot]
    """The host first."""
    probes: list[TlsProbe] = Field(default_factory=list)

    @property
    def name(self) -> str:
        """The environment's name, by which `isthmus up` knows it."""
        return str(self.environment.get("name", ""))

    @property
    def host(self) -> ClusterSnapshot:
        """The cluster with the control plane."""
        return self.clusters[0]

    @property
    def remotes(self) -> list[ClusterSnapshot]:
        """All others."""
        return self.clusters[1:]

    def cluster(self, name: str) -> ClusterSnapshot | None:
        """Return the cluster of that name, if there is one."""
        return next((c for c in self.clusters if c.name == name), None)
