"""The plan that `isthmus render` writes: whole, in order, and without a secret."""

import pytest
import yaml
from world import environment, istio

from isthmus import plan, tools
from isthmus.adapters import istioctl


@pytest.fixture
def rendered(folders, monkeypatch, tmp_path):
    monkeypatch.setattr(tools, "ensure", lambda environment, name: tmp_path / name)
    monkeypatch.setattr(istioctl, "manifests", lambda program, operator: istio())

    def write(federation):
        paths = plan.write(environment(federation), tmp_path / federation)
        return {path.name: path.read_text() for path in paths}

    return write


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
def test_the_order_names_every_step_and_every_file(rendered, federation):
    files = rendered(federation)
    order = files.pop("ORDER.txt")
    assert list(files) == sorted(files)
    numbers = [line[:2] for line in order.splitlines() if line[:2].isdigit()]
    assert numbers == [f"{n:02d}" for n in range(1, len(numbers) + 1)]
    assert all(order.count(name) == 1 for name in files)
    for text in files.values():
        assert list(yaml.safe_load_all(text)), "a file that says nothing helps nobody"


def test_gateways_come_after_what_injects_their_pods(rendered):
    order = rendered("kubefed")["ORDER.txt"].splitlines()
    titles = [line.partition(" ")[2] for line in order if line[:2].isdigit()]
    assert titles.index("beijing: istio host") < titles.index("beijing: gateway")
    wired = titles.index("beijing: remote secret of shanghai")
    assert titles.index("shanghai: istio remote") < wired < titles.index("shanghai: gateway")
    joined = titles.index("beijing: join shanghai")
    assert joined < titles.index("beijing: federated istio-system and cacerts")


@pytest.mark.parametrize("federation", ["kubefed", "direct"])
def test_keys_and_tokens_are_masked_and_objects_bear_the_environments_name(rendered, federation):
    whole = "".join(rendered(federation).values())
    assert "PRIVATE KEY" not in whole and "token: ey" not in whole
    assert "ca-key.pem: '***'" in whole
    documents = [
        d for text in rendered(federation).values() for d in yaml.safe_load_all(text)
        if isinstance(d, dict) and "kind" in d
    ]  # fmt: skip
    assert documents
    assert {d["metadata"]["labels"]["isthmus/environment"] for d in documents} == {"pair"}


def test_without_kubefed_nothing_of_it_is_in_the_plan(rendered):
    assert "kubefed" not in "".join(rendered("direct").values()).replace("kubefed.io/", "").lower()
