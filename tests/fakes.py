"""A cluster in memory, for tests of everything above the client."""

import base64
import re
from urllib.parse import parse_qs

from isthmus import polling
from isthmus.adapters import kube, pod_exec
from isthmus.environment import Timeouts

WHERE = re.compile(r"/(?:api|apis)/(v1|[^/]+/[^/]+)(?:/namespaces/([^/]+))?/([^/]+)(?:/([^/]+))?")
GROUP = re.compile(r"/apis/[^/]+/[^/]+")
SERVED = {
    "v1": "Namespace* Node* Pod Service Secret ConfigMap Event ServiceAccount",
    "apps/v1": "Deployment",
    "networking.istio.io/v1": "Gateway VirtualService",
    "admissionregistration.k8s.io/v1": (
        "MutatingWebhookConfiguration* ValidatingWebhookConfiguration*"
    ),
    "rbac.authorization.k8s.io/v1": "ClusterRole* ClusterRoleBinding*",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition*",
    "core.kubefed.io/v1beta1": "KubeFedCluster",
    "types.kubefed.io/v1beta1": "FederatedNamespace FederatedSecret FederatedDeployment",
}
"""What a cluster in memory serves; a star marks what is in no namespace."""


PAGE = 2
"""Objects in one answer of a fake to a list."""


class FakeKube(kube.Kube):
    """A cluster in memory, below everything that the real client decides.

    `failures` are raised by the next requests, `reactions` called after each change: they play
    the cluster's controllers; `tried` is its admission of what is not to be made. `writes` lists
    what was changed, as `PATCH path`.
    """

    def __init__(self, access):
        super().__init__(access)
        self.served = {api: kinds.split() for api, kinds in SERVED.items()}
        self.store, self.writes, self.failures, self.reactions = {}, [], [], []
        self.parts = ["serviceaccounts/token"]
        self.program = lambda pod, argv: ("", "")
        self.tried = lambda manifest: manifest

    def request(self, method, path, body=None, content=""):
        if self.failures:
            raise self.failures.pop(0)
        path, _, query = path.partition("?")
        if path.removeprefix("/apis/").removeprefix("/api/") in ("/apis", *self.served):
            return self._discovery(path)
        if GROUP.fullmatch(path):
            return None  # a version that this cluster does not serve
        api, namespace, plural, name = WHERE.fullmatch(path).groups()
        key = (api, plural, namespace or "", name)
        if method == "GET":
            return self.store.get(key) if name else self._list(key, query)
        if "dryRun=All" in query:
            return self.tried(body)
        polling.run_change_check()
        self.writes.append(f"{method} {path}")
        if content.startswith("application/merge-patch"):
            body = _merged(self.store[key], body)
        return self._delete(key) if method == "DELETE" else self._patch(key, body)

    def put(self, manifest):
        """Make an object exist as it is, as if a controller had written it."""
        meta = manifest["metadata"]
        key = self._key(manifest)
        was = self.store.get(key, {"metadata": {"uid": f"uid-{len(self.store)}-{meta['name']}"}})
        self.store[key] = _merged(was, manifest)
        return self.store[key]

    def execute(self, pod, namespace, container, argv):
        return pod_exec.Output(*self.program(pod, argv))

    def _key(self, manifest):
        meta, api = manifest["metadata"], manifest["apiVersion"]
        known = {kind.rstrip("*"): kind for kind in self.served[api]}[manifest["kind"]]
        namespace = "" if known.endswith("*") else meta.get("namespace", "")
        return api, _plural(manifest["kind"]), namespace, meta["name"]

    def _discovery(self, path):
        if path == "/apis":
            groups = [a for a in self.served if "/" in a]
            return {"groups": [{"preferredVersion": {"groupVersion": a}} for a in groups]}
        verbs = ["get", "list", "patch", "delete"]
        return {
            "resources": [
                {
                    "kind": kind.rstrip("*"),
                    "name": _plural(kind.rstrip("*")),
                    "namespaced": not kind.endswith("*"),
                    "verbs": verbs,
                }
                for kind in self.served[path.removeprefix("/apis/").removeprefix("/api/")]
            ]
            + [{"kind": "TokenRequest", "name": name, "verbs": ["create"]} for name in self.parts]
        }

    def _list(self, key, query):
        asked = parse_qs(query)
        [selector] = asked.get("labelSelector", [""])
        [account] = asked.get("fieldSelector", [""])
        wanted = dict(part.split("=") for part in selector.split(",") if part)
        found = [
            m
            for (api, plural, namespace, _), m in self.store.items()
            if (api, plural) == key[:2]
            and key[2] in ("", namespace)
            and (not account or account.endswith(f"={_account(m)}"))
            and wanted.items() <= m["metadata"].get("labels", {}).items()
        ]
        # A server may give less than it was asked for, and then says how to go on.
        first = int(asked.get("continue", ["0"])[0])
        more = {"continue": str(first + PAGE)} if "limit" in asked and found[first + PAGE :] else {}
        return {
            "metadata": more,
            "items": found[first : first + PAGE] if "limit" in asked else found,
        }

    def _patch(self, key, body):
        changed = self.put(body)
        changed["metadata"]["generation"] = changed["metadata"].get("generation", 0) + 1
        if texts := changed.pop("stringData", None):
            changed["data"] = {k: base64.b64encode(v.encode()).decode() for k, v in texts.items()}
        for react in self.reactions:
            react(self, changed)
        return changed

    def _delete(self, key):
        gone = self.store.pop(key, None)
        if key[1] == "namespaces":
            self.store = {k: m for k, m in self.store.items() if k[2] != key[3]}
        return gone


def _account(manifest):
    return manifest.get("spec", {}).get("serviceAccountName", "default")


def _plural(kind):
    return f"{kind.lower()}s"


def _merged(live, wanted):
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {**live, **{k: _merged(live.get(k), v) for k, v in wanted.items()}}
    return wanted


def limited(**seconds):
    """Let what the block waits for have these limits, shorter ones than a file may have too."""
    return polling.use_timeouts(Timeouts().model_copy(update=seconds))


def limit(monkeypatch, **seconds):
    """Let everything in a test have such limits, in whatever thread it waits, whatever its file."""
    others = polling.timeouts
    monkeypatch.setattr(polling, "timeouts", lambda: others().model_copy(update=seconds))
