"""A kubeconfig means to Isthmus, and in its merged file to everybody, what it does to kubectl."""

import subprocess

import pytest
from live.kubeconfigs import EVERY, Draft

from isthmus.adapters import kube, kubeconfigs
from isthmus.errors import IsthmusError
from isthmus.facts import Access

ASK = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
REFUSED = {"as an administrator"}
"""What kubectl can, and Isthmus says that it cannot: several headers of one name."""


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
    if request.node.callspec.id in REFUSED:
        assert (found, bool(expected)) == (None, True)
        return
    assert found == expected
    if found:
        merged = kubeconfigs.merge([access], tmp_path / "elsewhere" / "merged")
        assert kubectl(merged, "one") == found


def test_there_are_many_of_them():
    assert len(EVERY) >= 40
