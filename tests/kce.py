"""KCE's HTTP API in this process: it checks signatures and shapes, keeps clusters, and fails."""

import hashlib
import hmac
import itertools
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import yaml

from isthmus.environment import Environment

ACCESS, SECRET = "AKLTcanary7f3a", "SKcanary+7f3b/8c9d=="
VERSIONS = {
    "CreateCluster": "2020-12-31",
    "DescribeCluster": "2023-11-15",
    "DeleteCluster": "2019-08-06",
    "DownloadClusterConfig": "2019-08-06",
}
ALWAYS = {"Service", "Action", "Version", "SdkVersion", "Region", "Accesskey", "Language"}
NODE = "InstanceForNode.1.NodeConfig.1.Para"
KNOWN = {
    "CreateCluster": {
        "ClusterName", "ClusterDesc", "ClusterManageMode", "K8sVersion", "VpcId",
        "ReserveSubnetId", "PodCidr", "ServiceCidr", "NetworkType", "ExposePublicApiServer",
        "EnableDelProtection", "ManagedClusterMultiMaster.1.SubnetId",
        "ManagedClusterMultiMaster.1.SecurityGroupId", "InstanceForNode.1.NodeRole", NODE,
    },
    "DescribeCluster": {"ClusterId", "Search", "Marker", "MaxResults"},
    "DeleteCluster": {"ClusterId", "InstanceDeleteMode"},
    "DownloadClusterConfig": {"ClusterId", "IsPublic"},
}  # fmt: skip
IN_NODE = {
    "InstanceName", "InstanceType", "ImageId", "SubnetId", "SecurityGroupId", "ChargeType",
    "MinCount", "MaxCount",
}  # fmt: skip


SITE = {"vpc": "v1", "subnet": "s1", "reserve_subnet": "r1", "security_group": "g1", "image": "i1"}
COMMON = {"version": "v1.32.3", "instance_type": "S6.4B"}


def content(name="pair", clusters=("beijing", "shanghai"), **more):
    """Return what an environment file of clusters of this cloud says."""
    host, *remotes = [{"name": cluster, "kce": SITE} for cluster in clusters]
    data = {"name": name, "provider": "kce", "kce": COMMON, "host": host, "remotes": remotes}
    return {**data, **more}


def of(name="pair", **more):
    """Return such an environment."""
    return Environment.model_validate(content(name, **more))


class Refused(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Kce:
    """The stub. Its troubles:

    `throttled` and `failing` count, by action, the next requests that are not done; `lost` counts
    those that are done and get no answer, `cut` those whose answer ends amid its head.
    `refused` are clusters for which there is no quota,
    `broken` those that end as `error`; `hidden` counts listings that do not have a new one yet.
    `polls`: looks until a cluster runs, or is gone. `log` has all that was asked.
    """

    def __init__(self):
        self.clusters, self.log, self.kubeconfigs = {}, [], {}
        self.throttled, self.failing, self.lost, self.cut = {}, {}, {}, {}
        self.refused = set()
        self.broken, self.hidden, self.polls, self.exposed = set(), 0, 2, True
        self.lock = threading.RLock()

    def __enter__(self):
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = stub.answer(self, body)
                if not isinstance(answer, tuple):
                    self.close_connection = True
                    return self.wfile.write(answer or b"")
                status, content = answer
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def asked(self, action):
        return [entry for entry in self.log if entry["Action"] == action]

    def named(self, name):
        return [c for c in self.clusters.values() if c["ClusterName"] == name]

    def put(self, name, description="", status="running", region="cn-beijing-6"):
        """Make a cluster exist as if somebody had made it."""
        identity = str(uuid.uuid4())
        self.clusters[identity] = {
            "ClusterId": identity, "ClusterName": name, "ClusterDesc": description,
            "Status": status, "Region": region, "Protected": False, "left": 0, "hidden": 0,
        }  # fmt: skip
        return identity

    def answer(self, request, body):
        given = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = given.get("Action", "")
        known = {"RequestId": str(uuid.uuid4())}
        with self.lock:
            entry = {k: v for k, v in given.items() if k not in ("Accesskey", "SdkVersion")}
            self.log.append(entry)
            try:
                verify(request, body, given)
                _check(action, given)
                if _counts_down(self.throttled, action):
                    raise Refused("Throttling", "too many requests")
                if _counts_down(self.failing, action):
                    return 502, b"<html>Bad Gateway</html>"
                result = getattr(self, action)(given)
            except Refused as error:
                said = {"Code": error.code, "Message": error.message, "Type": "Sender"}
                entry["answer"] = error.code
                return error.status, {**known, "Error": said}
            if _counts_down(self.cut, action):
                entry["answer"] = "cut"
                return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-"
            entry["answer"] = "lost" if self.lost.get(action) else "200"
            return None if _counts_down(self.lost, action) else (200, {**known, **result})

    def CreateCluster(self, given):  # noqa: N802
        if given["ClusterName"] in self.refused:
            raise Refused("InsufficientQuota", "no more clusters for you")
        identity = self.put(given["ClusterName"], given["ClusterDesc"], "creating", given["Region"])
        made = self.clusters[identity]
        made |= {"left": self.polls, "hidden": self.hidden, "nodes": json.loads(given[NODE])}
        made["Protected"] = given.get("EnableDelProtection") != "false"
        return {"ClusterId": identity}

    def DescribeCluster(self, given):  # noqa: N802
        for cluster in list(self.clusters.values()):
            self._pass_time(cluster)
        found = [c for c in self.clusters.values() if c["Region"] == given["Region"]]
        if identity := given.get("ClusterId"):
            found = [c for c in found if c["ClusterId"] == identity]
            if not found:
                raise Refused("ClusterNotFound", f"cluster {identity} not found", 404)
        found = [c for c in found if given.get("Search", "") in c["ClusterName"]]
        if not given.get("ClusterId"):
            found = [c for c in found if not self._is_hidden(c)]
        start, size = int(given.get("Marker", 0)), min(10, int(given.get("MaxResults", 10)))
        page = found[start : start + size]
        more = start + size if len(found) > start + size else 0
        listed = [{k: v for k, v in c.items() if k[0].isupper()} for c in page]
        return {"TotalCount": len(found), "MaxResults": size, "Marker": more, "ClusterSet": listed}

    def DeleteCluster(self, given):  # noqa: N802
        cluster = self._of(given)
        if cluster["Protected"]:
            raise Refused("DeleteProtection", "the cluster is protected against deletion")
        if cluster["Status"] == "creating":
            raise Refused("InvalidClusterStatus", "the cluster is being created")
        cluster |= {"Status": "deleting", "left": self.polls}
        return {}

    def DownloadClusterConfig(self, given):  # noqa: N802
        cluster = self._of(given)
        if given["IsPublic"] != "true" or not self.exposed:
            return {"Expose": False, "ClusterConfig": ""}
        made = self.kubeconfigs.get(cluster["ClusterName"]) or kubeconfig(cluster["ClusterId"])
        return {"Expose": True, "ClusterConfig": made}

    def _of(self, given):
        found = self.clusters.get(given["ClusterId"])
        if not found or found["Region"] != given["Region"]:
            raise Refused("ClusterNotFound", "cluster not found", 404)
        return found

    def _pass_time(self, cluster):
        cluster["left"] -= 1
        if cluster["left"] > 0:
            return
        if cluster["Status"] == "creating":
            broken = cluster["ClusterName"] in self.broken
            cluster["Status"] = "error" if broken else "running"
        elif cluster["Status"] == "deleting":
            self.clusters.pop(cluster["ClusterId"])

    def _is_hidden(self, cluster):
        cluster["hidden"] -= 1
        return cluster["hidden"] >= 0


def kubeconfig(identity):
    """Return a kubeconfig as KCE's are called in the guide."""
    names = {kind: f"{kind}-{identity}" for kind in ("context", "cluster", "admin")}
    server = {"server": f"https://{identity}.example:6443", "certificate-authority-data": "Q0E="}
    user = {"token": f"canary-kubeconfig-{identity}"}
    context = {"cluster": names["cluster"], "user": names["admin"]}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": names["context"],
            "contexts": [{"name": names["context"], "context": context}],
            "clusters": [{"name": names["cluster"], "cluster": server}],
            "users": [{"name": names["admin"], "user": user}],
        }
    )


def verify(request, body, given):
    """Compute the signature anew, as AWS's Signature Version 4 says; refuse another one."""
    method, _, rest = request.headers["Authorization"].partition(" ")
    signed = dict(part.strip().split("=", 1) for part in rest.split(","))
    access, day, region, service, end = signed["Credential"].split("/")
    names = signed["SignedHeaders"].split(";")
    digest = hashlib.sha256(body).hexdigest()
    lines = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    asked = "\n".join(["POST", request.path, "", lines, signed["SignedHeaders"], digest])
    moment, scope = request.headers["x-amz-date"], f"{day}/{region}/{service}/{end}"
    hashed = hashlib.sha256(asked.encode()).hexdigest()
    text = "\n".join([method, moment, scope, hashed])
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, end):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    wanted = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    place = (access, region, service, end) == (ACCESS, given["Region"], "kce", "aws4_request")
    covered = {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names)
    right = method == "AWS4-HMAC-SHA256" and hmac.compare_digest(signed["Signature"], wanted)
    if not (place and covered and right):
        raise Refused("SignatureDoesNotMatch", f"key {access}, string {text}", 403)


def _check(action, given):
    """Refuse what no documentation of KCE's has, and what it says must be there."""
    if given.get("Version") != VERSIONS.get(action):
        raise Refused("InvalidAction", f"{action} {given.get('Version')}")
    unknown = given.keys() - ALWAYS - KNOWN[action]
    lacking = ALWAYS - given.keys()
    if action == "CreateCluster":
        lacking |= KNOWN[action] - given.keys()
        lacking |= IN_NODE - json.loads(given.get(NODE, "{}")).keys()
    elif action != "DescribeCluster":
        lacking |= KNOWN[action] - given.keys()
    empty = {key for key, value in given.items() if value in ("", "None")}
    if unknown or lacking or empty:
        raise Refused("InvalidParameter", f"{sorted(itertools.chain(unknown, lacking, empty))}")


def _counts_down(counts, action):
    left = counts.get(action, 0)
    counts[action] = max(0, left - 1)
    return left > 0
