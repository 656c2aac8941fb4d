"""The plan that `isthmus render` writes: whole, in order, without a secret, and such as it runs."""

import inspect
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import kce
import pytest
import yaml
from world import istio

from isthmus import mesh_ca, plan, state
from isthmus.adapters import istioctl
from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.environment import Environment, Timeouts
from isthmus.plan.istio import PLACEHOLDER_ADDRESS
from isthmus.stacks import load

STACKS = ("istio-1.31", "guide")
FEDERATIONS = ("kubefed", "direct")
EVERY = [(s, f, n) for s in STACKS for f in FEDERATIONS for n in (1, 2)]
SETS = "export ISTIOD_REMOTE_EP="
USES = "envsubst '${ISTIOD_REMOTE_EP}' < "


def environment(stack="istio-1.31", federation="kubefed", remotes=1):
    """Return an environment of clusters whose names in the federation are others."""
    names = ["beijing", "shanghai", "guangzhou"][: remotes + 1]
    specs = [
        {"name": n, "member": f"id-{n}", "kubeconfig": f"/k/{n}", "context": "admin"} for n in names
    ]
    return Environment(
        name="pair",
        provider="kubeconfig",
        stack=stack,
        federation=federation,
        host=specs[0],
        remotes=specs[1:],
    )


def rendered_objects(program, operator):
    """Return what matters of what istioctl renders, for either stack; it needs an IP address."""
    endpoint = operator["spec"]["values"]["global"].get("remotePilotAddress")
    assert endpoint in (None, PLACEHOLDER_ADDRESS), "for a word istioctl makes other objects"
    [*objects, gateway] = istio()
    name = load("guide" if "profile" not in operator["spec"] else "istio-1.31").gateway.name
    meta = {"name": "endpoint", "namespace": "istio-system"}
    addresses = {"kind": "Endpoints", "metadata": meta, "ip": endpoint, "text": "$x ${y}"}
    kinds = {"kind": "CustomResourceDefinition", "spec": {"group": "networking.istio.io"}}
    rule = {"apiVersion": "networking.istio.io/v1", "kind": "EnvoyFilter", "metadata": meta}
    return [
        rule,
        {"apiVersion": "v1", **addresses},
        {"apiVersion": "apiextensions.k8s.io/v1", **kinds, "metadata": {"name": "x"}},
        *objects,
        {**gateway, "metadata": {**gateway["metadata"], "name": name}},
    ]


ISTIOCTL = Path("unused")


@pytest.fixture(scope="module")
def programs():
    """Stand in for what asks for programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(istioctl, "manifests", rendered_objects)
        yield


@pytest.fixture(scope="module")
def written(programs, tmp_path_factory):
    """Return what writes the plan of an environment and reads it: ORDER.txt, and the files."""

    @cache
    def write(*about):
        return read(plan.write(environment(*about), tmp_path_factory.mktemp("plan"), ISTIOCTL))

    return write


@pytest.mark.usefixtures("programs")
def test_without_istioctl_all_is_written_but_what_it_makes(tmp_path):
    whole = read(plan.write(environment(), tmp_path / "whole", ISTIOCTL))
    order, files = read(plan.write(environment(), tmp_path / "less", None))
    assert titles(order) == [t for t in titles(whole[0]) if not t.endswith("its own rules")]
    assert order.count("# no file holds them: istioctl was not here") == 4
    numbered = {name.partition("-")[2] for name in files}
    made = ("istio-host", "istio-remote", "beijing-gateway", "shanghai-gateway", "rules")
    expected = {name.partition("-")[2] for name in whole[1]}
    assert numbered == {n for n in expected if not n.removesuffix(".yaml").endswith(made)}
    for name in re.findall(r"\S+\.yaml", " ".join(lines(order))):
        assert name in files or name.startswith("ca/"), name


def read(paths):
    files = {path.name: path.read_text() for path in paths}
    return files.pop("ORDER.txt"), MappingProxyType(files)


def titles(order):
    return [line.partition(" ")[2] for line in order.splitlines() if line[:2].isdigit()]


def lines(order):
    """Return the lines for a shell."""
    return [line.strip() for line in order.splitlines() if line.startswith("   ")]


@pytest.mark.parametrize("about", EVERY)
def test_the_order_names_every_step_and_every_file_once(written, about):
    order, files = written(*about)
    assert list(files) == sorted(files)
    numbers = [line[:2] for line in order.splitlines() if line[:2].isdigit()]
    assert numbers == [f"{n:02d}" for n in range(1, len(numbers) + 1)]
    assert all(order.count(name) == 1 for name in files)
    assert set(re.findall(r"[0-9]{2}-\S+\.yaml", order)) == set(files)
    for text in files.values():
        assert list(yaml.safe_load_all(text)), "a file that says nothing helps nobody"


@pytest.mark.parametrize("about", EVERY)
def test_its_lines_are_such_as_a_shell_reads(written, about):
    script = "\n".join(lines(written(*about)[0]))
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "@" not in script.replace("[@]", ""), "a file's name is missing"


@pytest.mark.parametrize("about", EVERY)
def test_the_endpoint_is_set_before_it_is_used_and_only_where_it_is_needed(written, about):
    order, files = written(*about)
    sets = order.index(SETS)
    uses = {m[1] for m in re.finditer(re.escape(USES) + r"(\S+)", order) if m.start() > sets}
    assert uses == {name for name, text in files.items() if "${ISTIOD_REMOTE_EP}" in text}
    assert order.count(USES) == len(uses) == 2 * about[2]
    assert PLACEHOLDER_ADDRESS not in "".join(files.values())


def test_only_the_endpoint_is_put_in_and_no_other_dollar_of_istios(programs, tmp_path):
    order, files = read(plan.write(environment(), tmp_path, ISTIOCTL))
    name, text = next((n, t) for n, t in files.items() if "${y}" in t and USES + n in order)
    command = next(line for line in lines(order) if name in line).partition(" | ")[0]
    if not shutil.which("envsubst"):
        pytest.skip("there is no envsubst (package gettext-base) on this machine")
    env = {"ISTIOD_REMOTE_EP": "198.18.0.3", "PATH": "/usr/bin:/bin", "x": "no", "y": "no"}
    done = subprocess.run(
        ["bash", "-c", command], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == text.replace("${ISTIOD_REMOTE_EP}", "198.18.0.3")
    assert "$x ${y}" in done.stdout


@pytest.mark.parametrize("about", EVERY)
def test_kinds_are_defined_before_what_is_of_them_and_gateways_come_last(written, about):
    order, files = written(*about)

    def at(kind, cluster):
        return next(
            n for n, t in files.items()
            if f"-{cluster}-" in n and any(d.get("kind") == kind for d in yaml.safe_load_all(t))
        )  # fmt: skip

    for cluster in ("beijing", "shanghai"):
        defined, rule = at("CustomResourceDefinition", cluster), at("EnvoyFilter", cluster)
        served = order.index("condition=Established", order.index(defined))
        assert served < order.index(rule)
        gateway = load(about[0]).gateway.name
        [last] = [n for n in files if re.fullmatch(rf"\d+-{cluster}-gateway.yaml", n)]
        assert [d["metadata"]["name"] for d in yaml.safe_load_all(files[last])] == [gateway]
        assert rule < last


@pytest.mark.parametrize("about", EVERY)
def test_what_must_be_so_before_the_next_step_is_waited_for(written, about):
    stack, federation, remotes = about
    clusters, kubefed = remotes + 1, federation == "kubefed"
    own = load(stack).istiod_in_remotes
    order, _ = written(*about)
    waits = {
        "rollout status deployment/kubefed-": 2 * kubefed,
        "propagationController": kubefed,
        "wait --for=condition=Ready kubefedclusters": clusters * kubefed,
        "wait --for=condition=Propagation": 4 * kubefed,
        "wait --for=condition=Established": clusters,
        "rollout status deployment/istiod": clusters if own else 1,
        f"rollout status deployment/{load(stack).gateway.name}": clusters,
        "| grep .; do": clusters,  # an address
        "until openssl s_client": 1,
        ".data.token": remotes,
        "until kubectl --context=shanghai -n istio-system get configmap istio-ca-root-cert": 1,
        ".clientConfig.caBundle": remotes,
        "rollout status deployment/sleep": clusters,
        "rollout status deployment/helloworld": clusters,
    }
    assert {text: order.count(text) for text in waits} == waits


@pytest.mark.parametrize("about", EVERY)
def test_all_that_is_applied_bears_the_environments_name(written, about):
    order, files = written(*about)
    read = [n for n in files if n.endswith(("-cluster.yaml", "-kubefed.yaml")) and "space" not in n]
    assert len(read) == 1 + about[2] + (about[1] == "kubefed")
    for name in set(files) - set(read):
        for document in yaml.safe_load_all(files[name]):
            assert document["metadata"]["labels"][ENVIRONMENT_LABEL] == "pair", name
    for line in lines(order):
        if "create-remote-secret" in line or "create secret" in line:
            assert f"kubectl label --local -f - {ENVIRONMENT_LABEL}=pair" in line


@pytest.mark.parametrize("about", EVERY)
def test_no_secret_is_in_it_though_the_environment_has_been_built(programs, folders, about):
    folder = state.ensure_folder("pair") / "ca"
    secrets = [mesh_ca.cacerts(folder, c.name)["ca-key.pem"] for c in environment(*about).clusters]
    secrets.append((folder / "root-key.pem").read_text())
    order, files = read(plan.write(environment(*about), folders / "plan", ISTIOCTL))
    whole = order + "".join(files.values())
    for secret in secrets:
        for line in secret.splitlines()[1:-1]:
            assert line not in whole
    assert "PRIVATE KEY" not in whole and "token: ey" not in whole
    documents = [d for text in files.values() for d in yaml.safe_load_all(text)]
    # The token's own Secret is empty: Kubernetes fills it in.
    shown = [list(values(d)) for d in documents if "Secret" in d.get("kind", "")]
    masked = [found for found in shown if found]
    assert len(masked) == (2 if about[1] == "kubefed" else 1 + about[2]) + about[2]
    assert all(set(found) == {"***"} for found in masked)


def values(secret):
    """Yield every value that a Secret or a FederatedSecret gives."""
    given = [secret.get("data", {}), secret.get("stringData", {})]
    overrides = secret.get("spec", {}).get("overrides", [])
    given += [o["value"] for c in overrides for o in c["clusterOverrides"]]
    for data in given:
        yield from data.values()


def test_without_kubefed_nothing_of_it_is_in_the_plan(written):
    order, files = written("istio-1.31", "direct")
    whole = order + "".join(files.values())
    assert "kubefed" not in whole.replace("kubefed.io/", "").lower()
    assert "helm" not in order


@pytest.mark.parametrize("stack", STACKS)
def test_the_guides_readers_find_its_files(written, stack):
    _, files = written(stack, "kubefed", 2)
    names = [name.partition("-")[2].removesuffix(".yaml") for name in files]
    known = ["beijing-istio-main-cluster", "shanghai-istio-remote0-cluster"]
    known += ["guangzhou-istio-remote1-cluster", "beijing-helloworld-deploy"]
    known += ["beijing-helloworld-svc", "shanghai-helloworld-svc", "shanghai-sleep"]
    if stack == "guide":
        known += ["beijing-cluster-aware-gateway", "shanghai-cluster-aware-gateway"]
    assert set(known) <= set(names)


def test_each_stacks_istioctl_is_called_as_it_can_be(written):
    for stack, words in (("guide", "istioctl x create-remote-secret --context=shanghai"),
                         ("istio-1.31", "istioctl create-remote-secret")):  # fmt: skip
        [line] = [line for line in lines(written(stack)[0]) if "create-remote-secret" in line]
        assert line.startswith(words)
        assert "--name=shanghai -n istio-system" in line


def test_a_federation_that_the_console_made_is_read_and_nothing_of_it_installed(programs, tmp_path):
    order, files = read(plan.write(kce.of(), tmp_path, ISTIOCTL))
    assert "get configmap kubefedconfig" in order
    assert "kubefedctl join" not in order and "helm" not in order
    assert "condition=Ready kubefedclusters.core.kubefed.io/id-of-shanghai" in order
    [placed] = [text for name, text in files.items() if "federate-namespace-istio" in name]
    assert "name: id-of-shanghai" in placed


def test_the_members_of_the_federation_are_called_as_it_knows_them(written):
    order, _ = written()
    [join] = [line for line in lines(order) if line.startswith("kubefedctl join id-shanghai")]
    assert {"--cluster-context=shanghai", "--host-cluster-context=beijing"} <= {*join.split()}
    assert "condition=Ready kubefedclusters.core.kubefed.io/id-shanghai" in order


@pytest.mark.parametrize("stack", STACKS)
def test_a_remote_is_reached_where_the_file_says(programs, tmp_path, stack):
    url = "https://api.shanghai.example:6443"
    plain = environment(stack)
    remotes = [c.model_copy(update={"server": url}) for c in plain.remotes]
    order, _ = read(plan.write(plain.model_copy(update={"remotes": remotes}), tmp_path, ISTIOCTL))
    [patch] = [line for line in lines(order) if url in line and "apiEndpoint" in line]
    assert patch.startswith("kubectl --context=beijing") and "/id-shanghai " in patch
    [made] = [line for line in lines(order) if "create-remote-secret" in line]
    [change] = [part for part in made.split(" | ") if part.startswith("sed")]
    printed = "stringData:\n  shanghai: |\n    - cluster:\n        server: https://127.0.0.1:1\n"
    done = subprocess.run(
        ["bash", "-c", change], input=printed, capture_output=True, text=True, check=True
    )
    assert done.stdout == printed.replace("https://127.0.0.1:1", url)


@pytest.mark.parametrize("stack", STACKS)
def test_the_trust_made_by_its_lines_is_one_that_istiod_takes(written, tmp_path, stack):
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl on this machine")
    preface = written(stack)[0].partition("\n01 ")[0]
    made = [line for line in lines(preface) if not line.startswith("export")]
    script = "\n".join(made).replace("rsa:4096", "rsa:2048")
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    for cluster in ("beijing", "shanghai"):
        own = tmp_path / "ca" / cluster
        chain = ["-CAfile", tmp_path / "ca/root-cert.pem", "-untrusted", own / "cert-chain.pem"]
        subprocess.run(
            ["openssl", "verify", "-x509_strict", *chain, own / "ca-cert.pem"], check=True,
            capture_output=True,
        )  # fmt: skip
        shown = subprocess.run(
            ["openssl", "x509", "-in", own / "ca-cert.pem", "-noout", "-text"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        assert "CA:TRUE, pathlen:0" in shown and "DNS:istiod.istio-system.svc" in shown
        assert (own / "ca-key.pem").exists()


STEPS = {
    "install federation": ["namespace of kubefed", "kubefed"],
    "start federation": ["controllers of kubefed, once its webhook is ready"],
    "install host": ["IstioOperator", "istio host", "istio host, its own rules"],
    "expose host": ["exposure of the control plane"],
    "open gateway": ["gateway"],
    "check istiod remote endpoint": ["istiod remote endpoint"],
    "install remote": ["IstioOperator", "istio remote", "istio remote, its own rules"],
    "deploy caller": ["service of helloworld", "caller"],
    "verify from": ["endpoint table", "requests"],
    "inspect gateway": ["endpoint table of the gateway"],
}
"""Step of the story -> titles in its cluster's part of the plan."""
OTHERWISE = {
    "make namespace istio-system": r"beijing: (namespace istio-system|cacerts)",
    "join": r"beijing: join {cluster}",
    "federate namespace istio-system": r"(?!beijing: n).*namespace istio-system",
    "federate secret cacerts": r"(?!beijing: c).*cacerts",
    "federate namespace sample": r".*namespace sample",
    "create remote secret": (
        r"{cluster}: (token|istio-ca-root-cert).*|beijing: remote secret of {cluster}"
    ),
    "expose services": r".*: exposure of services",
    "deploy sample": r".*: (federated )?helloworld",
}
"""The same for steps whose titles are of other clusters too."""
NOT_BY_HAND = {
    "prepare": "a refusal before anything is changed",
    "create cluster": "the clusters are there",
    "wait for nodes": "the clusters are there",
    "merge kubeconfigs": "the contexts are there",
    "find removed clusters": "nobody has left what is built for the first time",
    "inspect clusters": "a person sees it",
    "evaluate": "a person sees it",
}


@pytest.mark.parametrize("about", EVERY)
def test_the_plan_has_the_storys_steps_in_the_storys_order(programs, about):
    wanted = environment(*about)
    titles = [f"{e.cluster}: {e.title}" for e in plan.entries(wanted, ISTIOCTL)]
    assert len(titles) == len(set(titles)), "a title must say which of a cluster's steps it is"
    story = told(wanted)
    place = {step: where(step, titles) for step in story}
    assert sorted(n for at in place.values() for n in at) == list(range(len(titles)))
    for step in story:
        for before in step.after:
            if place[step] and place[before]:
                assert max(place[before]) < min(place[step]), (before.name, step.name)


def where(step, titles):
    """Return the places of a step's entries in the plan."""
    name = step.name.removesuffix(f" {step.cluster}")
    if name in NOT_BY_HAND:
        return []
    pattern = OTHERWISE.get(name) or "{cluster}: (" + "|".join(map(re.escape, STEPS[name])) + ")"
    pattern = pattern.replace("{cluster}", step.cluster)
    found = [n for n, title in enumerate(titles) if re.fullmatch(pattern, title)]
    absent = name == "expose host" or step.name == "federate secret cacerts"
    assert found or absent, f"{step.name}: the plan does not have it"
    return found


def told(wanted):
    """Return the steps of the story, each with those that it waits for."""
    from flows.build import submit_build

    teller = Teller()
    submit_build(teller, wanted, buy=False)
    return teller.steps


class Teller:
    """Listens to the story instead of running it."""

    def __init__(self):
        self.steps = []

    def __call__(self, task, *args, **more):
        more.pop("wait_for", None)
        given = inspect.signature(task.fn).bind(*args, **more).arguments
        name = task.task_run_name(given)
        cluster = name.removeprefix(task.name).strip()
        after = [s for value in given.values() for s in flat(value)]
        self.steps.append(Step(name, cluster, after))
        return self.steps[-1]

    def result(self, future):
        """Nothing was found that the story would have to go on by."""
        return []


@dataclass(eq=False)
class Step:
    """A step of the story: its name with its cluster, and the steps that it waits for."""

    name: str
    cluster: str
    after: list


def flat(value):
    if isinstance(value, list | tuple):
        return [s for inner in value for s in flat(inner)]
    return [value] if isinstance(value, Step) else []


def test_a_person_waits_for_the_federation_as_long_as_the_file_says(folders):
    patient = environment().model_copy(update={"timeouts": Timeouts(federation=600)})
    commands = [c for entry in plan.entries(patient, None) for c in entry.commands]
    limits = re.findall(r"--timeout=(\w+)", "\n".join(commands))
    assert len(limits) > 3 and set(limits) == {"600s"}
