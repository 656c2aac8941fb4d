"""The lab's addresses: no region has another's, no environment another's, nobody the machine's."""

import ipaddress
import itertools
import json

import pytest

from isthmus.adapters import shell
from isthmus.environment.rules import LAB_REGIONS
from isthmus.errors import Unprepared
from isthmus.providers.lab import network
from isthmus.providers.lab.network import LabNetwork

NET = LabNetwork(id="abc123", subnet=ipaddress.IPv4Network("198.18.7.0/24"))


def test_as_many_regions_as_are_allowed_have_addresses_of_their_own():
    every = [[NET.node(i), *NET.pool(i)] for i in range(LAB_REGIONS)]
    flat = list(itertools.chain(*every))
    assert len(flat) == len(set(flat))
    usable = set(map(str, NET.subnet.hosts())) - {str(NET.subnet[1])}
    assert set(flat) <= usable


def test_names_of_links_fit_the_kernel():
    assert len(NET.bridge) <= 15
    assert len({NET.link(i) for i in range(LAB_REGIONS)}) == LAB_REGIONS
    assert max(len(NET.link(i)) for i in range(LAB_REGIONS)) <= 15


def test_whoever_takes_a_place_is_found_where_the_one_before_was():
    addresses = [NET.hardware(i) for i in range(LAB_REGIONS)]
    assert addresses[1] == "02:00:c6:12:07:01"
    assert len(set(addresses)) == LAB_REGIONS


@pytest.fixture
def machine(monkeypatch):
    """A machine whose links have these addresses."""
    taken = ["127.0.0.1/8"]

    def run(argv):
        rows = [a.split("/") for a in taken]
        info = [{"local": ip, "prefixlen": int(length)} for ip, length in rows]
        return json.dumps([{"addr_info": info}])

    monkeypatch.setattr(shell, "run", run)
    return taken


def test_two_environments_begin_at_different_subnets(machine, tmp_path):
    one, other = (network._free_subnet(tmp_path / name) for name in "ab")
    assert one != other
    assert network._free_subnet(tmp_path / "a") == one


def test_a_subnet_that_the_machine_uses_is_left_alone(machine, tmp_path):
    first = network._free_subnet(tmp_path)
    machine.append(f"{first[1]}/24")
    second = network._free_subnet(tmp_path)
    assert not second.overlaps(first)


def test_no_subnet_left_is_told_with_what_to_do(machine, tmp_path):
    machine.append(f"{network.POOL[1]}/16")
    with pytest.raises(Unprepared) as caught:
        network._free_subnet(tmp_path)
    assert "isthmus down" in caught.value.hint


def test_a_folder_without_record_knows_no_network(tmp_path):
    assert network.known_network(tmp_path) is None
    (tmp_path / "network.json").write_text(NET.model_dump_json())
    assert network.known_network(tmp_path) == NET
