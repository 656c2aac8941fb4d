"""kubefedctl: what passes is nothing to it, what a person must mend is told at once."""

import base64
import json
import sys
from contextlib import ExitStack

import pytest
import refusing

from isthmus import polling
from isthmus.adapters import kubefedctl
from isthmus.errors import Busy, NotReady, Rejected
from isthmus.step_results import Access

FATAL = """#!/bin/sh
echo 'F1124 join.go:129] Error: {said}' >&2
echo >&2
echo 'goroutine 1 [running]:' >&2
echo 'k8s.io/klog/v2.stacks' >&2
exit 255
"""
HOST = Access(cluster="beijing", kubeconfig="/b", context="admin-of-beijing")
MEMBER = Access(cluster="shanghai", kubeconfig="/s", context="admin", member="d161c69e")


@pytest.fixture(autouse=True)
def alone(folders):
    """Keep files of this test to itself."""


def program(folder, text):
    path = folder / "kubefedctl"
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('failed calling webhook "kubefedclusters.core.kubefed.io": connection refused', NotReady),
        ("no endpoints available for service", NotReady),
        ("clusterroles is forbidden", Rejected),
    ],
)
def test_only_what_passes_by_itself_is_tried_again(tmp_path, said, kind):
    with pytest.raises(kind) as caught:
        kubefedctl.join(program(tmp_path, FATAL.format(said=said)), HOST, MEMBER)
    assert said in caught.value.message
    assert caught.value.cluster == "shanghai"


def test_of_a_fatal_programs_goroutines_nothing_is_told(tmp_path):
    with pytest.raises(Rejected) as caught:
        kubefedctl.unjoin(program(tmp_path, FATAL.format(said="boom")), HOST, MEMBER)
    assert "boom" in str(caught.value) and "goroutine" not in str(caught.value)


ASKED = """#!/bin/sh
echo "$@" >> {said}
"""


def test_the_federation_knows_a_member_by_the_name_that_it_is_given(tmp_path):
    said = tmp_path / "said"
    path = program(tmp_path, ASKED.format(said=said))
    for verb in (kubefedctl.join, kubefedctl.unjoin):
        verb(path, HOST, MEMBER)
    join, unjoin = said.read_text().splitlines()
    assert join.startswith("join d161c69e ") and unjoin.startswith("unjoin d161c69e ")
    assert "--secret-name=d161c69e-kubefed-token" in join and "--secret-name" not in unjoin
    for line in (join, unjoin):
        assert {"--cluster-context=shanghai", "--host-cluster-context=beijing"} <= {*line.split()}


JOIN = f"""#!{sys.executable}
import json, sys, urllib.request
words = dict(word.split("=", 1) for word in sys.argv if "=" in word)
config = json.load(open(words["--kubeconfig"]))
servers = {{c["name"]: c["cluster"]["server"] for c in config["clusters"]}}
ask = urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open
def post(context, path, **thing):
    url = servers[words[context]] + path
    ask(urllib.request.Request(url, json.dumps(thing).encode(), method="POST"), timeout=30)
name, space = sys.argv[2], "/namespaces/kube-federation-system"
try:
    post("--cluster-context", "/api/v1" + space + "/secrets", metadata={{"name": "of-" + name}})
    post("--host-cluster-context", "/apis/core.kubefed.io/v1beta1" + space + "/kubefedclusters",
         metadata={{"name": name}}, spec={{"apiEndpoint": servers[words["--cluster-context"]],
         "caBundle": "b3RoZXI=", "secretRef": {{"name": words["--secret-name"]}}}})
except urllib.error.HTTPError as error:
    sys.exit("Error: " + error.read().decode())
"""
"""What kubefedctl does that counts here: it gives up at the first refusal, and copies addresses."""
CA = base64.b64encode(b"the CA of shanghai").decode()


@pytest.fixture
def servers(tmp_path):
    """Return the API servers of beijing and shanghai, and how to reach them."""
    with ExitStack() as stack:
        one, two = (stack.enter_context(refusing.serving()) for _ in range(2))
        more = {"certificate-authority-data": CA, "proxy-url": ""}
        host = refusing.access(one.server_port, tmp_path / "one", "beijing")
        yield one, two, host, refusing.access(two.server_port, tmp_path / "two", "shanghai", **more)


def test_an_api_servers_bad_day_is_nothing_to_a_join(servers, tmp_path):
    one, two, host, member = servers
    one.answers, two.answers = [429, None, 503], [500, None]
    kubefedctl.join(program(tmp_path, JOIN), host, member)
    assert set(one.objects) == {"shanghai"} and set(two.objects) == {"of-shanghai"}
    assert (len(one.asked), len(two.asked)) == (5, 4)


def test_the_federation_is_told_the_clusters_own_address_and_never_our_way_to_it(servers, tmp_path):
    one, two, host, member = servers
    kubefedctl.join(program(tmp_path, JOIN), host, member)
    assert json.loads(one.objects["shanghai"])["spec"] == {
        "apiEndpoint": f"http://127.0.0.1:{two.server_port}",
        "caBundle": CA,
        "secretRef": {"name": "shanghai-kubefed-token"},
    }
    elsewhere = member.model_copy(update={"server": "https://192.0.2.7:6443", "member": "id-7"})
    kubefedctl.join(program(tmp_path, JOIN), host, elsewhere)
    assert json.loads(one.objects["id-7"])["spec"]["apiEndpoint"] == "https://192.0.2.7:6443"


def test_a_join_under_way_changes_nothing_once_its_run_has_lost_its_turn(servers, tmp_path):
    one, two, host, member = servers
    sure = [True]
    """Of the question whether it may begin, and of none after it."""

    def check():
        if not (sure and sure.pop()):
            raise Busy("this run is not sure of its turn any more")

    with polling.check_before_changes(check), pytest.raises(Busy, match="not sure of its turn"):
        kubefedctl.join(program(tmp_path, JOIN), host, member)
    assert one.asked == two.asked == []
