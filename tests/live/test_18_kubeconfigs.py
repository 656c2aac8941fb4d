"""A kubeconfig means to Isthmus, and in its merged file to everybody, what it does to kubectl."""

import json
import subprocess
from contextlib import ExitStack

import pytest
from live import rancher
from live.kubeconfigs import EVERY, Draft

from isthmus.adapters import cross_cluster_access, kube, kubeconfigs
from isthmus.errors import IsthmusError
from isthmus.step_results import Access

ASK = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
REFUSED = {"as of several groups"}
"""What kubectl can, and Isthmus says that it cannot: several headers of one name."""

DATA_WINS = {"authority missing beside data", "certificate beside missing files"}
"""What kubectl refuses, and is none the less told: what the files would have said is there."""


@pytest.fixture
def kubectl(mesh):
    """Return what kubectl says with a kubeconfig, or None if it fails."""
    program = mesh.kubectl_command("lisbon")[0]

    def ask(path, context):
        command = [program, f"--kubeconfig={path}", f"--context={context}", "--request-timeout=5s"]
        done = subprocess.run([*command, *ASK], text=True, capture_output=True, timeout=60)
        return done.stdout if done.returncode == 0 else None

    return ask


@pytest.fixture
def draft(mesh, tmp_path):
    """Return a kubeconfig that works, to be changed."""
    with ExitStack() as standing:
        yield Draft(mesh.folder / "regions/lisbon/kubeconfig", tmp_path, standing)


@pytest.mark.parametrize("change", EVERY.values(), ids=EVERY)
def test_a_kubeconfig_means_what_it_means_to_kubectl(draft, kubectl, tmp_path, change, request):
    change(draft)
    path = draft.written()
    expected = kubectl(path, draft.wanted)
    access = Access(cluster="one", kubeconfig=path, context=draft.wanted)
    kube.clear_clients()
    try:
        found = kube.connect(access).uid()
    except IsthmusError as error:
        found = None
        assert error.cluster == "one" and draft.token not in str(error), error
    finally:
        kube.clear_clients()
    name = request.node.callspec.id
    if name in REFUSED:
        assert (found, bool(expected)) == (None, True)
    elif name in DATA_WINS:
        assert (bool(found), expected) == (True, None)
    else:
        assert found == expected
    if found:
        merged = kubeconfigs.merge([access], tmp_path / "elsewhere" / "merged")
        assert kubectl(merged, "one") == found


def account_of(draft):
    """Return the access to a cluster, a token of one of its ServiceAccounts, and its own CA."""
    access = Access(cluster="one", kubeconfig=draft.written(), context=draft.wanted)
    kube.clear_clients()
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = kube.connect(access).request("POST", path, request)["status"]["token"]
    kube.clear_clients()
    return access, token, draft.authority


@pytest.mark.parametrize("at", ["127.0.0.1", "::1"])
def test_a_serviceaccount_logs_in_below_a_path_with_the_kubeconfig_that_istiod_gets(
    draft, tmp_path, at
):
    draft.behind(at)
    access, token, own = account_of(draft)
    assert cross_cluster_access.token_login_error(access, token, own) == ""
    document = cross_cluster_access.kubeconfig(access, token, own)
    [cluster] = document["clusters"]
    assert cluster["cluster"]["server"].endswith(rancher.PATH)
    assert kubeconfigs.kubefed_cluster_spec(access)["apiEndpoint"].endswith(rancher.PATH)
    (tmp_path / "reader").write_text(json.dumps(document))
    reader = Access(cluster="one", kubeconfig=tmp_path / "reader", context="one")
    assert kube.connect(reader).version().startswith("v1.")
    kube.clear_clients()


def test_a_proxy_that_knows_its_own_tokens_alone_is_told(draft):
    draft.behind(instead=draft.token)
    draft.user["token"] = rancher.OWN
    said = cross_cluster_access.token_login_error(*account_of(draft))
    assert said == "HTTP 401: must authenticate"


def test_there_are_many_of_them():
    assert len(EVERY) >= 40
