"""The stack guide beside the guide itself: every YAML block, as objects; what differs is listed."""

import re
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from isthmus import plan
from isthmus.adapters import istioctl
from isthmus.environment import Environment

ROOT = Path(__file__).parents[2]
GUIDE = ROOT.parent / "shared/guide.txt"
PAGE = ROOT / "docs/guide.md"
TRAPS = 34
"""What can go wrong with the guide by hand, as counted when it was read against the sources."""
FILES = {
    "istio-main-cluster": 1,
    "istio-remote0-cluster": 1,
    "cluster-aware-gateway": 2,
    "helloworld-deploy": 1,
    "helloworld-svc": 2,
}
"""The guide's files -> in how many clusters each is."""
KEYS = ("name", "clusterName", "path")
HOST, REMOTE = "fcb0f8d3-9907-4a4a-9653-4584b367ee29", "d161c69e-286b-4541-901f-b121c9517f4e"


class Difference(NamedTuple):
    """In which files we differ, in what and why, as in docs/guide.md, and in which paths.

    Of a path + means that we have it, - that the guide has it, ~ that it has another value.
    """

    where: str
    what: str
    why: str
    paths: list[str]


GATEWAY = "spec.components.ingressGateways[istio-ingressgateway]"
VIEW = f"{GATEWAY}.k8s.env[ISTIO_META_REQUESTED_NETWORK_VIEW]"
MODE = f"{GATEWAY}.k8s.env[ISTIO_META_ROUTER_MODE]"
POD = "spec.template.spec.template.spec"
OVERRIDES = f"spec.overrides[{REMOTE}].clusterOverrides"
SELECTOR = f"{OVERRIDES}[/spec/selector/matchLabels/version]"
DIFFERENCES = [
    Difference(
        "istio-*",
        "`hub`, `tag`, `imagePullPolicy`",
        "the guide takes what its istioctl has built in; here images can come from a registry of "
        "one's own",
        ["+ spec.hub", "+ spec.tag", "+ spec.values.global.imagePullPolicy"],
    ),
    Difference(
        "istio-*",
        "`meshID`",
        "without it both clusters fall back on the trust domain's name, and two meshes cannot be "
        "told apart",
        ["+ spec.values.global.meshID"],
    ),
    Difference(
        "istio-*",
        "the gateway's `env`: `ISTIO_META_REQUESTED_NETWORK_VIEW`, and the router mode again",
        "without it a gateway hands a third of the requests back to the network that they came "
        "from; the list replaces the profile's",
        [f"+ {VIEW}.name", f"+ {VIEW}.value", f"+ {MODE}.name", f"+ {MODE}.value"],
    ),
    Difference(
        "istio-main-cluster",
        "the gateway by `name`, `enabled`",
        "an entry of the list needs both, as in the guide's own file for the remote",
        [f"+ {GATEWAY}.name", f"+ {GATEWAY}.enabled"],
    ),
    Difference(
        "istio-main-cluster",
        "istiod's annotation `isthmus/networks`",
        "a remote that is added later is known to a new istiod at once; the old one would hand "
        "out addresses of its pods for a minute",
        ["+ spec.components.pilot.k8s.podAnnotations.isthmus/networks"],
    ),
    Difference(
        "istio-*",
        "`resources`",
        "what the environment's `resources` say; empty, so Istio's own, if they say nothing",
        [
            f"+ {GATEWAY}.k8s.resources",
            "+ spec.values.pilot.resources",
            "+ spec.values.global.proxy.resources",
        ],
    ),
    Difference(
        "helloworld-deploy",
        "no `version` in the selector, nor an override of it",
        "a selector cannot be changed later; an override that comes a moment late would be refused "
        "for ever",
        [
            "- spec.template.spec.selector.matchLabels.version",
            f"- {SELECTOR}.path",
            f"- {SELECTOR}.value",
        ],
    ),
    Difference(
        "helloworld-deploy",
        "images with a tag",
        "`latest` is another image every day",
        [
            f"~ {POD}.containers[helloworld].image",
            f"~ {OVERRIDES}[/spec/template/spec/containers/0/image].value",
        ],
    ),
    Difference(
        "helloworld-deploy",
        "`imagePullPolicy`, port, readiness probe, `terminationGracePeriodSeconds`",
        "the sample is asked only once it listens, and ends at once",
        [
            f"+ {POD}.containers[helloworld].imagePullPolicy",
            f"+ {POD}.containers[helloworld].ports[0].containerPort",
            f"+ {POD}.containers[helloworld].readinessProbe.periodSeconds",
            f"+ {POD}.containers[helloworld].readinessProbe.tcpSocket.port",
            f"+ {POD}.terminationGracePeriodSeconds",
        ],
    ),
    Difference(
        "helloworld-svc",
        "`namespace`",
        "the guide says it in the command",
        ["+ metadata.namespace"],
    ),
    Difference(
        "cluster-aware-gateway, helloworld-*",
        "the label `isthmus/environment`",
        "`down` finds by it what to remove",
        ["+ metadata.labels.isthmus/environment"],
    ),
    Difference(
        "helloworld-deploy",
        "the same label in the template",
        "it is on what KubeFed makes of it, too",
        ["+ spec.template.metadata.labels.isthmus/environment"],
    ),
]


def blocks(text):
    """Return every YAML block of the guide, the exported names put in: file name -> object."""
    exported = dict(re.findall(r"^\$ export (\w+)=([\w-]+)$", text, re.MULTILINE))
    found, lines = {}, text.splitlines()
    for at, line in enumerate(lines):
        if line.startswith("apiVersion:"):
            name = re.findall(r"([\w-]+)\.yaml", "\n".join(lines[:at]))[-1]
            block = "\n".join(takewhile(of_yaml, lines[at:]))
            filled = re.sub(r"\$\{(\w+)\}", lambda m: exported.get(m[1], m[0]), block)
            found[name] = yaml.safe_load(filled)
    return found


def of_yaml(line):
    return not line or re.match(r"[ #-]|\w+:", line)


def flat(value, path=""):
    """Return a mapping of each leaf's path to its value; list entries go by name where they can."""
    if isinstance(value, dict) and value:
        pairs = [(f"{path}.{k}", v) for k, v in value.items()]
    elif isinstance(value, list) and value:
        pairs = [(f"{path}[{_key(n, v)}]", v) for n, v in enumerate(value)]
    else:
        return {path.removeprefix("."): value}
    return {p: v for inner, at in ((v, k) for k, v in pairs) for p, v in flat(inner, at).items()}


def _key(number, value):
    keys = [value[k] for k in KEYS if k in value] if isinstance(value, dict) else []
    return keys[0] if keys else number


def differing(theirs, ours):
    """Return how our object differs from theirs, as paths with +, - or ~ before them."""
    theirs, ours = flat(theirs), flat(ours)
    signs = {p: "-" for p in theirs if p not in ours} | {p: "+" for p in ours if p not in theirs}
    signs |= {p: "~" for p in theirs if p in ours and theirs[p] != ours[p]}
    return {f"{sign} {path}" for path, sign in signs.items()}


@pytest.fixture
def guide():
    if not GUIDE.is_file():
        pytest.skip("shared/guide.txt is not beside the project: the guide is no part of it")
    return blocks(GUIDE.read_text())


@pytest.fixture
def rendered(folders, monkeypatch, tmp_path):
    """Return what `isthmus render` writes for the guide's names: file -> an object a cluster."""
    monkeypatch.setattr(istioctl, "manifests", lambda program, operator: [])
    host, remote = (
        {"name": f"cluster-{i}", "member": i, "kubeconfig": "/k", "context": i}
        for i in (HOST, REMOTE)
    )
    where = {"provider": "kubeconfig", "stack": "guide", "host": host, "remotes": [remote]}
    paths = plan.write(Environment(name="guide", **where), tmp_path, Path("istioctl"))
    return {
        name: [yaml.safe_load(p.read_text()) for p in paths if p.stem.endswith(name)]
        for name in FILES
    }


def test_every_block_of_the_guide_is_found_and_rendered(guide, rendered):
    assert set(guide) == set(FILES)
    assert {name: len(made) for name, made in rendered.items()} == FILES


def test_we_differ_from_the_guide_in_what_is_listed_and_in_nothing_else(guide, rendered):
    for name, block in guide.items():
        listed = [d for d in DIFFERENCES if any(fnmatch(name, w) for w in d.where.split(", "))]
        paths = [path for difference in listed for path in difference.paths]
        for made in rendered[name]:
            assert sorted(differing(block, made)) == sorted(paths), name


def test_the_page_lists_the_same_differences_with_the_same_reasons():
    assert table("## What differs") == [
        [d.where.replace("*", r"\*"), d.what, d.why] for d in DIFFERENCES
    ]


def test_the_page_says_of_everything_that_goes_wrong_by_hand_what_happens_here():
    rows = table("## What goes wrong")
    assert [row[0] for row in rows] == [str(n) for n in range(1, TRAPS + 1)]
    assert all(len(row) == 4 and all(row) for row in rows)


def test_every_test_that_the_page_names_exists():
    sources = "".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert len(named) > TRAPS
    assert named <= set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))


def table(heading):
    """Return the rows of the page's table under a heading, without the first."""
    part = PAGE.read_text().partition(heading)[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return rows[1:]
