"""Kubeconfigs as clouds and people write them: each is a change of one that works."""

import base64
import json
import stat
from contextlib import ExitStack
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from live import rancher
from live.accounts import forwarded

from isthmus import certificates

PLUGIN = """#!/bin/sh
{before}
cat <<END
{{"apiVersion": "client.authentication.k8s.io/{version}", "kind": "ExecCredential",
 "status": {{"token": "{token}"}}}}
END
"""


class Draft:
    """A kubeconfig that works, to be changed: its parts, and the folder in which it will lie."""

    def __init__(self, kubeconfig: Path, folder: Path, standing: ExitStack) -> None:
        """`standing` ends what a change has put before the API server."""
        self.folder, self.pki, self.standing = folder, kubeconfig.parent / "pki", standing
        self.document = json.loads(kubeconfig.read_text())
        self.cluster = self.document["clusters"][0]["cluster"]
        self.user = self.document["users"][0]["user"]
        self.context = self.document["contexts"][0]["context"]
        self.token = self.user["token"]
        self.authority = base64.b64decode(self.cluster["certificate-authority-data"]).decode()
        self.text = None
        self.wanted = self.document["contexts"][0]["name"]

    def put(self, name, text, mode=0o600):
        """Make a file beside the kubeconfig; return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def written(self):
        """Write it; return its path."""
        return Path(self.put("kubeconfig", self.text or json.dumps(self.document)))

    def behind(self, at: str = "127.0.0.1", instead: str = "") -> None:
        """Be reached below a path of a proxy, as with Rancher, by its CA alone."""
        proxy = rancher.before(self.cluster["server"], self.folder, at, instead)
        self.cluster["server"], authority = self.standing.enter_context(proxy)
        self.cluster["certificate-authority-data"] = _b64(authority)

    def tunnelled(self, at: str) -> None:
        """Be reached at another address, the server's certificate as it is."""
        tunnel = forwarded(self.cluster["server"], at)
        self.cluster["server"] = self.standing.enter_context(tunnel)

    def plugin(self, name="plugin", before="", version="v1", **more):
        """Log in by a program, as a managed cluster's kubeconfig does."""
        text = PLUGIN.format(before=before, version=version, token=self.token)
        path = self.put(name, text, stat.S_IRWXU)
        spec = {
            "apiVersion": f"client.authentication.k8s.io/{version}",
            "command": path,
            "interactiveMode": "Never",
        }
        self.user.clear()
        self.user["exec"] = {**spec, **more}

    def certified(self):
        """Return a client's certificate and key (PEM) with which one is an administrator."""
        signer = serialization.load_pem_private_key((self.pki / "ca.key").read_bytes(), None)
        issuer = x509.load_pem_x509_certificate((self.pki / "ca.crt").read_bytes()).subject
        parts = ((NameOID.COMMON_NAME, "someone"), (NameOID.ORGANIZATION_NAME, "system:masters"))
        name, key = x509.Name([x509.NameAttribute(*part) for part in parts]), certificates.new_key()
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        made = certificates.builder(name, issuer, key).add_extension(usage, critical=False)
        return certificates.pem(made.sign(signer, hashes.SHA256())), certificates.key_pem(key)


def _b64(text):
    return base64.b64encode(text.encode()).decode()


def as_it_is(d): ...
def yaml_with_comments(d):
    d.text = "# mine\n" + json.dumps(d.document) + "\n# end\n"


def windows_lines(d):
    d.text = json.dumps(d.document, indent=1).replace("\n", "\r\n")


def unknown_fields(d):
    d.document |= {"extensions": [{"name": "x", "extension": {}}], "new": 1}


def no_current_context(d):
    d.document.pop("current-context", None)


def another_current_context(d):
    d.document["current-context"] = "gone"


def a_namespace(d):
    d.context["namespace"] = "elsewhere"


def a_name_with_signs(d):
    d.document["contexts"][0]["name"] = d.wanted = "arn:aws:eks:eu-1:123:cluster/one two@x"


def many_contexts(d):
    for part in ("clusters", "users", "contexts"):
        other = json.loads(json.dumps(d.document[part][0])) | {"name": "other"}
        d.document[part].insert(0, other)
    d.document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    d.document["current-context"] = "other"


def authority_by_full_path(d):
    del d.cluster["certificate-authority-data"]
    d.cluster["certificate-authority"] = d.put("ca.crt", d.authority)


def authority_by_relative_path(d):
    authority_by_full_path(d)
    d.cluster["certificate-authority"] = "ca.crt"


def authority_below_and_up_again(d):
    authority_by_full_path(d)
    d.put("deep/er/x", "")
    d.cluster["certificate-authority"] = "./deep/../ca.crt"


def authority_missing_beside_data(d):
    d.cluster["certificate-authority"] = "gone.crt"


def authority_empty_beside_data(d):
    d.cluster["certificate-authority"] = ""


def authority_missing(d):
    authority_by_full_path(d)
    d.cluster["certificate-authority"] = "gone.crt"


def authority_of_nobody(d):
    del d.cluster["certificate-authority-data"]


def authority_no_base64(d):
    d.cluster["certificate-authority-data"] = "%%%"


def authority_no_certificate(d):
    d.cluster["certificate-authority-data"] = _b64("nonsense")


def authority_of_another(d):
    key = certificates.new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another")])
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    made = certificates.builder(name, name, key).add_extension(constraints, critical=True)
    pem = certificates.pem(made.sign(key, hashes.SHA256()))
    d.cluster["certificate-authority-data"] = _b64(pem)


def authorities_of_two(d):
    authority_of_another(d)
    other = base64.b64decode(d.cluster["certificate-authority-data"]).decode()
    d.cluster["certificate-authority-data"] = _b64(other + d.authority)


def unverified(d):
    del d.cluster["certificate-authority-data"]
    d.cluster["insecure-skip-tls-verify"] = True


def unverified_though_there_is_an_authority(d):
    d.cluster["insecure-skip-tls-verify"] = True


def server_name(d):
    d.cluster["tls-server-name"] = "kubernetes.default.svc"


def server_name_of_another(d):
    d.cluster["tls-server-name"] = "example.com"


def server_with_a_slash(d):
    d.cluster["server"] += "/"


def server_with_a_path(d):
    d.cluster["server"] += "/k8s/clusters/c-1"


def server_below_a_proxys_path(d):
    d.behind()


def server_below_a_proxys_path_with_a_slash(d):
    d.behind()
    d.cluster["server"] += "/"


def server_below_a_path_of_a_proxy_that_knows_its_own_tokens(d):
    d.behind(instead=d.token)
    d.user["token"] = rancher.OWN


def server_below_a_path_of_a_proxy_that_does_not_know_the_token(d):
    d.behind(instead=d.token)


def server_below_a_proxys_path_by_the_clusters_own_authority(d):
    own = d.cluster["certificate-authority-data"]
    d.behind()
    d.cluster["certificate-authority-data"] = own


def server_without_scheme(d):
    d.cluster["server"] = d.cluster["server"].removeprefix("https://")


def server_by_plain_http(d):
    d.cluster["server"] = d.cluster["server"].replace("https", "http")


def server_that_is_away(d):
    d.cluster["server"] = "https://127.0.0.1:9"


def server_by_ipv6(d):
    d.cluster["server"] = "https://[::1]:9"


def server_by_ipv6_below_a_path(d):
    d.behind("::1")


def server_by_ipv6_with_its_certificates_name(d):
    d.tunnelled("::1")
    d.cluster["tls-server-name"] = "kubernetes.default.svc"


def server_by_ipv6_that_its_certificate_lacks(d):
    d.tunnelled("::1")


def server_missing(d):
    del d.cluster["server"]


def server_uncompressed(d):
    d.cluster["disable-compression"] = True


def proxy_that_is_dead(d):
    d.cluster["proxy-url"] = "http://127.0.0.1:9"


def proxy_of_no_kind(d):
    d.cluster["proxy-url"] = "gopher://127.0.0.1:9"


def token_by_full_path(d):
    d.user.clear()
    d.user["tokenFile"] = d.put("token", d.token)


def token_by_relative_path(d):
    token_by_full_path(d)
    d.user["tokenFile"] = "token"


def token_with_a_newline(d):
    token_by_full_path(d)
    d.put("token", f"{d.token}\n")


def token_beside_an_empty_file_name(d):
    d.user["tokenFile"] = ""


def token_file_missing(d):
    d.user.clear()
    d.user["tokenFile"] = "gone"


def token_that_is_wrong(d):
    d.user["token"] = "wrong"


def token_empty(d):
    d.user["token"] = ""


def user_without_anything(d):
    d.user.clear()


def user_null(d):
    d.document["users"][0]["user"] = None


def user_missing(d):
    d.document["users"] = []


def user_not_named(d):
    del d.context["user"]


def password(d):
    d.user.clear(), d.user.update(username="admin", password="wrong")


def certificate(d):
    made, key = d.certified()
    d.user.clear()
    d.user |= {"client-certificate-data": _b64(made), "client-key-data": _b64(key)}


def certificate_by_relative_path(d):
    made, key = d.certified()
    d.put("me.crt", made), d.put("keys/me.key", key)
    d.user.clear()
    d.user |= {"client-certificate": "me.crt", "client-key": "keys/me.key"}


def certificate_beside_missing_files(d):
    certificate(d)
    d.user |= {"client-certificate": "gone.crt", "client-key": "gone.key"}


def certificate_without_key(d):
    certificate(d)
    del d.user["client-key-data"]


def certificate_with_anothers_key(d):
    certificate(d)
    d.user["client-key-data"] = _b64(certificates.key_pem(certificates.new_key()))


def as_an_administrator(d):
    d.user |= {"as": "someone", "as-groups": ["system:masters"]}


def as_of_several_groups(d):
    d.user |= {"as": "someone", "as-groups": ["system:masters", "others"]}


def as_nobody_much(d):
    d.user["as"] = "reader"


def plugin(d):
    d.plugin()


def plugin_of_the_beta(d):
    d.plugin(version="v1beta1")


def plugin_that_is_slow(d):
    d.plugin(before="sleep 1")


def plugin_that_talks(d):
    d.plugin(before="echo a warning >&2")


def plugin_that_fails(d):
    d.plugin(before="echo login expired >&2; exit 3")


def plugin_that_says_nothing(d):
    d.plugin(before="exit 0")


def plugin_that_says_nonsense(d):
    d.plugin(before="echo nonsense; exit 0")


def plugin_by_relative_path(d):
    d.plugin("bin/plugin")
    d.user["exec"]["command"] = "./bin/plugin"


def plugin_that_is_missing(d):
    d.plugin()
    d.user["exec"]["command"] = "no-such-login-plugin"


def plugin_with_arguments_and_variables(d):
    check = '[ "$1 $MINE" = "get token" ] || exit 4'
    d.plugin(before=check, args=["get"], env=[{"name": "MINE", "value": "token"}])


def plugin_that_needs_the_cluster(d):
    check = 'case "$KUBERNETES_EXEC_INFO" in *"$SERVER"*) ;; *) exit 5;; esac'
    server = [{"name": "SERVER", "value": d.cluster["server"]}]
    d.plugin(before=check, provideClusterInfo=True, env=server)


def file_empty(d):
    d.text = "\n"


def file_of_a_list(d):
    d.text = "[]"


def file_of_words(d):
    d.text = "nothing of the kind"


def file_that_is_no_yaml(d):
    d.text = "a: [b\n c: }"


def file_of_another_kind(d):
    d.text = json.dumps({"apiVersion": "v1", "kind": "Secret"})


def contexts_null(d):
    d.document["contexts"] = None


def context_null(d):
    d.document["contexts"][0]["context"] = None


def cluster_missing(d):
    d.document["clusters"] = []


def cluster_not_named(d):
    del d.context["cluster"]


EVERY = {
    name.replace("_", " "): change
    for name, change in list(globals().items())
    if callable(change) and getattr(change, "__module__", "") == __name__
    and not name.startswith("_") and name != "Draft"
}  # fmt: skip
