"""A service of the users' own, in three versions over three regions, is proved with the mesh."""

import json

import pytest
from live import diagnosing

NAMESPACE = "shop"
VERSIONS = {"lisbon": "v1", "nairobi": "v2", "osaka": "v3"}
PORTS = {"http": (8080, 5000), "tcp-echo": (9000, 6000)}
SERVER = """
import http.server, socketserver, sys, threading
status, ports = int(sys.argv[1]), sys.argv[2:]
class Http(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, request_queue_size = True, 50
if "6000" in ports:
    threading.Thread(target=Server(("", 6000), Echo).serve_forever).start()
http.server.ThreadingHTTPServer(("", 5000), Http).serve_forever()
"""


def deployment(version, image, status=200, ports=("5000", "6000")):
    labels = {"app": "cart", "version": version}
    container = {
        "name": "cart",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["/usr/bin/python3", "-c", SERVER, str(status), *ports],
        "readinessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 1},
    }
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"cart-{version}", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def shared():
    ports = [{"name": n, "port": p, "targetPort": t} for n, (p, t) in PORTS.items()]
    labels = {"istio-injection": "enabled"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": labels},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "cart", "namespace": NAMESPACE},
            "spec": {"selector": {"app": "cart"}, "ports": ports},
        },
    ]


class Shop:
    """The service in all regions, and what `isthmus verify --service` says of it."""

    def __init__(self, mesh, folder):
        self.mesh, self.folder = mesh, folder
        where = "-o", "jsonpath={.spec.template.spec.containers[0].image}"
        self.image = mesh.kubectl("lisbon", "-n", "sample", "get", "deploy", "helloworld", *where)

    def apply(self, cluster, *manifests):
        file = self.folder / "manifests.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
        self.mesh.kubectl(cluster, "apply", "-f", str(file))

    def deploy(self, cluster, **differences):
        version = VERSIONS[cluster]
        self.apply(cluster, *shared(), deployment(version, self.image, **differences))
        rollout = ("rollout", "status", "deployment", f"cart-{version}", "--timeout=100s")
        self.mesh.kubectl(cluster, "-n", NAMESPACE, *rollout)

    def verify(self, *ports, code=0):
        wanted = [f"--service={NAMESPACE}/cart:{port}" for port in ports or (8080, 9000)]
        return self.mesh.isthmus.document("verify", self.mesh.name, *wanted, code=code)


@pytest.fixture(scope="module")
def shop(mesh, tmp_path_factory):
    made = Shop(mesh, tmp_path_factory.mktemp("shop"))
    try:
        for cluster in VERSIONS:
            made.deploy(cluster)
        yield made
    finally:
        for cluster in VERSIONS:
            mesh.kubectl(cluster, "delete", "namespace", NAMESPACE, "--ignore-not-found")
    after = diagnosing.until_healthy(mesh)
    assert after.named, diagnosing.told(after.found)


def test_every_version_answers_every_region_in_its_share(shop):
    document = shop.verify()
    assert document["verdict"] == "pass" and len(document["services"]) == 2 * len(VERSIONS)
    for service in document["services"]:
        assert service["failed"] == 0 and service["requests"] == 100 and not service["notes"]
        counted = {e["clusters"][0]: e["requests"] for e in service["endpoints"]}
        assert counted.keys() == VERSIONS.keys() and min(counted.values()) >= 15
        assert [e["expected"] for e in service["endpoints"]] == [0.333] * 3


def test_a_version_that_answers_with_errors_is_named_with_its_pod_and_the_others_are_not(shop):
    """By HTTP with 500, and by TCP not at all: nobody listens there."""
    shop.deploy("osaka", status=500, ports=("5000",))
    try:
        document = shop.verify(code=79)
    finally:
        shop.deploy("osaka")
    said = [reason for reason in document["reasons"] if "shop/cart" in reason]
    assert len(said) == 2 * len(VERSIONS), "from each region, at each port"
    assert all("(osaka/cart-v3-" in reason and "--context osaka" in reason for reason in said)
    assert sum("answers were errors" in reason for reason in said) == len(VERSIONS)
    assert sum("connections were closed" in reason for reason in said) == len(VERSIONS)


@pytest.mark.long
def test_weights_of_a_virtualservice_make_other_shares_right(shop):
    named = [{"name": v, "labels": {"version": v}} for v in VERSIONS.values()]
    ways = [("v1", 80), ("v2", 20)]
    route = [{"destination": {"host": "cart", "subset": v}, "weight": w} for v, w in ways]
    meta = {"name": "cart", "namespace": NAMESPACE}
    api = {"apiVersion": "networking.istio.io/v1", "metadata": meta}
    rules = [
        {**api, "kind": "DestinationRule", "spec": {"host": "cart", "subsets": named}},
        {**api, "kind": "VirtualService", "spec": {"hosts": ["cart"], "http": [{"route": route}]}},
    ]
    shop.apply("lisbon", *rules)
    try:
        document = shop.verify(8080)
    finally:
        shop.mesh.kubectl(
            "lisbon", "-n", NAMESPACE, "delete", "virtualservices,destinationrules", "cart"
        )
    for service in document["services"]:
        assert service["notes"] == ["VirtualService shop/cart routes to subsets: v1 80, v2 20"]
        shares = {e["clusters"][0]: e["expected"] for e in service["endpoints"]}
        assert shares == {"lisbon": 0.8, "nairobi": 0.2, "osaka": 0.0}


@pytest.mark.long
def test_a_policy_that_refuses_the_caller_is_named(shop):
    meta = {"name": "nobody", "namespace": NAMESPACE}
    deny = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": meta}
    shop.apply("lisbon", {**deny, "spec": {}})
    try:
        document = shop.verify(8080, code=79)
    finally:
        shop.mesh.kubectl("lisbon", "-n", NAMESPACE, "delete", "authorizationpolicy", "nobody")
    assert document["causes"][0]["id"] == "F48" and "shop/nobody" in document["reasons"][0]
    said = [reason for reason in document["reasons"] if "RBAC: access denied" in reason]
    assert len(said) == len(VERSIONS) and "an AuthorizationPolicy refuses the caller" in said[0]


@pytest.mark.long
def test_pods_without_a_sidecar_are_named_from_the_other_regions(shop):
    shop.mesh.kubectl("nairobi", "label", "namespace", NAMESPACE, "istio-injection-")
    try:
        shop.mesh.kubectl("nairobi", "-n", NAMESPACE, "delete", "pods", "--all", "--wait")
        ready = ("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
        shop.mesh.kubectl("nairobi", "-n", NAMESPACE, *ready)
        document = shop.verify(8080, code=79)
    finally:
        shop.mesh.kubectl("nairobi", "label", "namespace", NAMESPACE, "istio-injection=enabled")
        shop.mesh.kubectl("nairobi", "-n", NAMESPACE, "delete", "pods", "--all", "--wait")
        shop.deploy("nairobi")
    assert "F28" in [cause["id"] for cause in document["causes"]]
    said = [r for r in document["reasons"] if "no pod of shop/cart has a sidecar" in r]
    assert [reason.partition(":")[0] for reason in said] == ["nairobi"]


@pytest.mark.long
def test_a_service_that_is_nowhere_is_red_for_verify_and_no_hindrance_for_up(mesh, tmp_path):
    text = mesh.file.read_text()
    file = tmp_path / "mesh.yaml"
    file.write_text(f"{text}\nverification: {{services: [{{name: shop/none}}]}}\n")
    document = mesh.isthmus.document("verify", file, code=79)
    assert any("there is no Service shop/none" in reason for reason in document["reasons"])
    out, err = mesh.isthmus.run("up", file)
    assert "verified" in out and "in no cluster yet, and not asked: shop/none" in err
    mesh.isthmus.run("up", mesh.file)
