"""A build that dies at any moment is taken up by the next, and `down` works from any ruin."""

import random
import signal

import pytest
from live.files import write
from live.machine import Machine
from live.runs import end_region, until_step

SEED = 20261124
REGIONS = {"host": {"name": "porto"}, "remotes": [{"name": "recife"}]}


@pytest.fixture(scope="module")
def ruin(isthmus, tmp_path_factory):
    """An environment beside the shared one, whose builds are killed."""
    file = write(tmp_path_factory.mktemp("ruin") / "ruin.yaml", name="ruin", **REGIONS)
    yield file
    isthmus.run("down", "ruin")


def uids(isthmus, names: list[str]) -> dict[str, str]:
    from isthmus.adapters import kube
    from isthmus.step_results import Access

    folder = isthmus.home / "environments" / "ruin"
    return {
        name: kube.Kube(Access(cluster=name, kubeconfig=folder / "regions" / name / "kubeconfig",
                               context=name)).uid()
        for name in names
    }  # fmt: skip


@pytest.mark.long
def test_killed_at_random_moments_up_reaches_the_same_end(isthmus, ruin):
    moments = random.Random(SEED)
    clusters = None
    for steps in (moments.randrange(first, first + 6) for first in (3, 9, 15, 21)):
        process = isthmus.start("up", ruin)
        seen = until_step(process, steps)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if clusters is None and sum(" ok    create cluster" in line for line in seen) == 2:
            clusters = uids(isthmus, ["porto", "recife"])
    assert clusters, "one kill at least comes after the clusters were made"
    document = isthmus.document("up", ruin)
    assert document["verdict"] == "pass"
    assert uids(isthmus, ["porto", "recife"]) == clusters, "finished clusters are not made again"


def test_interrupted_it_says_how_to_go_on(isthmus, ruin):
    process = isthmus.start("up", ruin)
    until_step(process, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "isthmus up" in err


def test_a_region_that_lost_power_comes_up_again_with_all_it_had(isthmus, ruin):
    """As after a power cut: every process of the regions is gone, folders and namespaces stay."""
    assert isthmus.document("up", ruin)["verdict"] == "pass"
    before = uids(isthmus, ["porto", "recife"])
    for name in ("porto", "recife"):
        end_region(isthmus.home / "environments" / "ruin" / "regions" / name)
    document = isthmus.document("up", ruin)
    assert document["verdict"] == "pass"
    assert uids(isthmus, ["porto", "recife"]) == before


def test_down_after_a_crash_half_way_up_leaves_nothing_and_no_other_lab_is_touched(
    isthmus, mesh, tmp_path
):
    machine = Machine()
    file = write(tmp_path / "half.yaml", name="half", **REGIONS)
    process = isthmus.start("up", file)
    for line in process.stderr:
        if "waiting for its API server" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    isthmus.run("down", "half")
    assert machine.left_of(isthmus.home / "environments" / "half") == []
    assert isthmus.document("verify", mesh.name)["verdict"] == "pass"
