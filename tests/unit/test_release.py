"""A region of the lab that left alone: its place is free, the others keep theirs."""

import ipaddress
import json

import pytest
from world import environment

from isthmus import state
from isthmus.errors import NotReady
from isthmus.providers.lab import network, provider, region
from isthmus.providers.lab.network import LabNetwork

NET = LabNetwork(id="abc123", subnet=ipaddress.IPv4Network("198.18.7.0/24"))
ALL = environment(regions=("beijing", "shanghai", "guangzhou"))


@pytest.fixture
def removed(folders, monkeypatch):
    """Regions that were really removed; three of them stand."""
    gone = []
    folder = state.ensure_folder("pair")
    (folder / "network.json").write_text(NET.model_dump_json())
    places = {c.name: index for index, c in enumerate(ALL.clusters)}
    state.write_private(folder / "regions.json", json.dumps(places))
    monkeypatch.setattr(region, "remove", lambda r: gone.append((r.cluster, r.index)))
    monkeypatch.setattr(network, "ensure_network", lambda folder: NET)
    return gone


def places():
    return json.loads((state.folder("pair") / "regions.json").read_text())


def test_one_region_goes_and_the_next_one_gets_its_place(removed):
    lab, shanghai = provider.LabProvider(ALL.stack), ALL.cluster("shanghai")
    lab.release(ALL, shanghai)
    assert removed == [("shanghai", 1)]
    assert places() == {"beijing": 0, "guangzhou": 2}
    newcomer = shanghai.model_copy(update={"name": "lhasa"})
    assert provider._reserve_region(ALL, newcomer).index == 1
    with pytest.raises(NotReady, match="its region does not exist"):
        lab.access(ALL, shanghai)


def test_releasing_again_or_what_was_never_made_removes_nothing(removed):
    lab, shanghai = provider.LabProvider(ALL.stack), ALL.cluster("shanghai")
    lab.release(ALL, shanghai)
    lab.release(ALL, shanghai)
    assert removed == [("shanghai", 1)]
    (state.folder("pair") / "network.json").unlink()
    lab.release(ALL, ALL.cluster("guangzhou"))
    assert removed == [("shanghai", 1)]


def test_a_region_that_could_not_be_removed_keeps_its_place(removed, monkeypatch):
    def refuse(place):
        raise NotReady("cannot delete", cluster=place.cluster)

    monkeypatch.setattr(region, "remove", refuse)
    with pytest.raises(NotReady):
        provider.LabProvider(ALL.stack).release(ALL, ALL.cluster("shanghai"))
    assert places()["shanghai"] == 1
