"""The lab's addresses: no region has another's, no environment another's, nobody the machine's."""

import ipaddress
import itertools
import json

import pytest

from isthmus.adapters import shell
from isthmus.environment.rules import LAB_REGIONS
from isthmus.errors import Unprepared
from isthmus.providers.lab import forwarding, network
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
    addresses = [NET.mac_address(i) for i in range(LAB_REGIONS)]
    assert addresses[1] == "02:00:c6:12:07:01"
    assert len(set(addresses)) == LAB_REGIONS


class Machine:
    """Links' addresses and routes, as `ip -j` tells of them."""

    def __init__(self):
        self.links, self.routes = {"lo": "127.0.0.1/8"}, [{"dst": "default", "dev": "eth0"}]

    def run(self, argv):
        if "route" in argv:
            return json.dumps(self.routes)
        return json.dumps([self._link(*entry) for entry in self.links.items()])

    def _link(self, name, text):
        ip, length = text.split("/")
        return {"ifname": name, "addr_info": [{"local": ip, "prefixlen": int(length)}]}


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.delenv(network.RANGE_VARIABLE, raising=False)
    made = Machine()
    monkeypatch.setattr(shell, "run", made.run)
    return made


def test_two_environments_begin_at_different_subnets(machine, tmp_path):
    one, other = (network._free_subnet(tmp_path / name) for name in "ab")
    assert one != other
    assert network._free_subnet(tmp_path / "a") == one


def test_a_subnet_that_the_machine_uses_is_left_alone(machine, tmp_path):
    first = network._free_subnet(tmp_path)
    machine.links["tun1"] = f"{first[1]}/24"
    second = network._free_subnet(tmp_path)
    assert not second.overlaps(first)


@pytest.mark.parametrize("link", ["198.18.0.1/16", "198.18.0.1/30"])
def test_what_a_route_leads_to_is_somebodys(machine, tmp_path, link):
    """As of a "fake-ip" proxy, whose tun link has that range, or a part of it and a route."""
    machine.links["tun0"] = link
    machine.routes.append({"dst": "198.18.0.0/16", "dev": "tun0"})
    assert network._free_subnet(tmp_path).subnet_of(ipaddress.IPv4Network("198.19.0.0/16"))


@pytest.mark.parametrize("half", ["0.0.0.0/1", "128.0.0.0/1"])
def test_a_vpn_that_takes_all_traffic_takes_no_range(machine, tmp_path, half):
    machine.routes.append({"dst": half, "dev": "tun0"})
    assert network._free_subnet(tmp_path).subnet_of(ipaddress.IPv4Network("198.18.0.0/16"))


def test_another_range_can_be_named(machine, tmp_path, monkeypatch):
    monkeypatch.setenv(network.RANGE_VARIABLE, "10.77.0.0/16")
    assert network._free_subnet(tmp_path).subnet_of(ipaddress.IPv4Network("10.77.0.0/16"))


@pytest.mark.parametrize("text", ["10.77.0.0/25", "10.77.0.1/16", "ten", "fd00::/64"])
def test_a_range_that_is_none_is_told_with_its_variable(machine, tmp_path, monkeypatch, text):
    monkeypatch.setenv(network.RANGE_VARIABLE, text)
    with pytest.raises(Unprepared, match="ISTHMUS_LAB_RANGE"):
        network._free_subnet(tmp_path)


def test_no_subnet_left_is_told_with_link_and_range_and_what_to_do(machine, tmp_path):
    for number, pool in enumerate(network.DEFAULT_RANGES):
        machine.routes.append({"dst": pool, "dev": f"tun{number}"})
    with pytest.raises(Unprepared, match=r"198\.18\.0\.0/16 \(tun0\)") as caught:
        network._free_subnet(tmp_path)
    assert "isthmus down" in caught.value.hint and "ISTHMUS_LAB_RANGE=" in caught.value.hint


def test_a_folder_without_record_knows_no_network(tmp_path):
    assert network.find_network(tmp_path) is None
    (tmp_path / "network.json").write_text(NET.model_dump_json())
    assert network.find_network(tmp_path) == NET


class Filter:
    """A packet filter's chain FORWARD; `works` tells whether the kernel has one."""

    def __init__(self, works=True):
        self.rules, self.works = [], works

    def succeeds(self, argv):
        return self.works and (argv[2] == "-S" or argv[4:] in self.rules)

    def run(self, argv):
        change = {"-I": lambda rule: self.rules.insert(0, rule), "-D": self.rules.remove}
        assert argv[:2] == ["iptables", "-w"] and argv[3] == "FORWARD"
        change[argv[2]](argv[4:])


@pytest.fixture
def packet_filter(monkeypatch):
    def install(chain):
        monkeypatch.setattr(shell, "succeeds", chain.succeeds)
        monkeypatch.setattr(shell, "run", chain.run)
        return chain

    return install


def test_what_stays_on_our_bridge_is_let_through_before_anybody_elses_rules(packet_filter):
    docker = ["-j", "DOCKER-USER"]
    chain = packet_filter(Filter())
    chain.rules = [docker]
    for _ in range(2):  # every run sees to it
        forwarding.allow(NET.bridge)
    assert chain.rules == [["-i", NET.bridge, "-o", NET.bridge, "-j", "ACCEPT"], docker]
    forwarding.forbid(NET.bridge)
    forwarding.forbid(NET.bridge)
    assert chain.rules == [docker]


def test_a_kernel_without_a_packet_filter_is_no_obstacle(packet_filter):
    chain = packet_filter(Filter(works=False))
    forwarding.allow(NET.bridge)
    forwarding.forbid(NET.bridge)
    assert chain.rules == []
