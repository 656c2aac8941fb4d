"""A machine whose packet filter drops all that is forwarded, as beside Docker: regions still talk.

In a network namespace of its own: the machine's filter is not touched.
"""

import json
import subprocess
import sys

INSIDE = """
import json, pathlib, subprocess, sys
from isthmus.adapters import shell
from isthmus.providers.lab import forwarding, network

folder = pathlib.Path(sys.argv[1])
shell.run(["mount", "-t", "tmpfs", "none", "/run"])
for name in ("/run/netns", "/run/lock"):
    pathlib.Path(name).mkdir()
shell.run(["ip", "link", "set", "lo", "up"])
shell.run(["iptables", "-P", "FORWARD", "DROP"])
net = network.ensure_network(folder)
for index, name in enumerate(("one", "two")):
    network.connect(net, name, index)

CALL = "import socket; socket.create_connection((%r, 9), 3)" % net.node(1)

def reached():
    # Nobody listens: whoever hears so has been there.
    inside = ["nsenter", f"--net=/run/netns/{net.namespace('one')}", sys.executable, "-c", CALL]
    return "Connection refused" in subprocess.run(inside, capture_output=True, text=True).stderr

def rules():
    return shell.run(["iptables", "-S", "FORWARD"]).splitlines()

found = {"beside Docker": reached()}
forwarding.forbid(net.bridge)  # as a firewall's restart does
found["without the rule"] = reached()
network.ensure_network(folder)
network.ensure_network(folder)
found["after another run"], found["rules"] = reached(), len(rules()) - 1
for index, name in enumerate(("one", "two")):
    network.disconnect(net, name, index)
network.remove_network(folder)
found["left"] = rules()
print(json.dumps(found))
"""


def test_regions_talk_beside_a_docker_and_down_leaves_no_rule(lab_possible, tmp_path):
    command = ["unshare", "--net", "--mount", sys.executable, "-c", INSIDE, str(tmp_path)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "beside Docker": True,
        "without the rule": False,
        "after another run": True,
        "rules": 1,
        "left": ["-P FORWARD DROP"],
    }
