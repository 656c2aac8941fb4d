"""A kubeconfig means to Isthmus, and in its merged file to everybody, what it does to kubectl."""

import subprocess

import pytest
from live.kubeconfigs import EVERY, Draft

from isthmus.adapters import kube, kubeconfigs
from isthmus.errors import IsthmusError
from isthmus.facts import Access

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


@pytest.mark.parametrize("change", EVERY.values(), ids=EVERY)
def test_a_kubeconfig_means_what_it_means_to_kubectl(mesh, kubectl, tmp_path, change, request):
    draft = Draft(mesh.folder / "regions/lisbon/kubeconfig", tmp_path)
    change(draft)
    path = draft.written()
    expected = kubectl(path, draft.wanted)
    access = Access(cluster="one", kubeconfig=path, context=draft.wanted)
    kube.forget()
    try:
        found = kube.connect(access).uid()
    except IsthmusError as error:
        found = None
        assert error.cluster == "one" and draft.token not in str(error), error
    finally:
        kube.forget()
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


def test_there_are_many_of_them():
    assert len(EVERY) >= 40
