"""Whether a manifest is true already: too much said writes for ever, too little never."""

import base64
import copy
import json
import random
from pathlib import Path

import pytest
import yaml

from isthmus import render
from isthmus.adapters import istioctl
from isthmus.adapters.diff import (
    ENVIRONMENT_LABEL,
    describe,
    differs,
    with_environment_label,
    with_hash_annotation,
    without_istiod_fields,
)
from isthmus.environment import ClusterSpec, Environment
from isthmus.istio_manifests import resolve
from isthmus.providers.lab import defaults
from isthmus.providers.lab.tools import find_toolchain

CASES = sorted((Path(__file__).parents[1] / "cases/templates").glob("*.yaml"))

TABLE = {
    "what the server adds is its own": ({"a": 1}, {"a": 1, "b": 2}, False),
    "another value": ({"a": 1}, {"a": 2}, True),
    "a field that lacks": ({"a": 1}, {}, True),
    "a deep field": ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2, "d": 1}}}, True),
    "a mapping where a value was": ({"a": {"b": 1}}, {"a": 1}, True),
    "a list where a mapping was": ({"a": [1]}, {"a": {"b": 1}}, True),
    "status is the cluster's": ({"a": 1, "status": {"x": 1}}, {"a": 1}, False),
    "nothing instead of an empty mapping": ({"a": {}}, {}, False),
    "nothing instead of an empty list": ({"a": []}, {}, False),
    "nothing instead of null": ({"a": None}, {}, False),
    "null, as controller-gen leaves creationTimestamp": ({"a": None}, {"a": "2026"}, False),
    "nothing instead of false": ({"a": False}, {}, False),
    "nothing instead of zero": ({"a": 0}, {}, False),
    "false instead of true": ({"a": False}, {"a": True}, True),
    "zero instead of one": ({"a": 0}, {"a": 1}, True),
    "one is not true": ({"a": "true"}, {"a": True}, True),
    "the same list": ({"a": ["x", "y"]}, {"a": ["x", "y"]}, False),
    "a plain list in another order": ({"a": ["x", "y"]}, {"a": ["y", "x"]}, True),
    "a plain list that is longer": ({"a": ["x"]}, {"a": ["x", "y"]}, True),
    "a plain list that is shorter": ({"a": ["x", "y"]}, {"a": ["x"]}, True),
    "defaults in a list's entries": (
        {"a": [{"port": 80}]},
        {"a": [{"port": 80, "protocol": "TCP"}]},
        False,
    ),
    "entries by name, more of them": (
        {"a": [{"name": "x", "v": 1}]},
        {"a": [{"name": "other"}, {"name": "x", "v": 1}]},
        False,
    ),
    "entries by name, in another order": (
        {"a": [{"name": "x", "v": 1}, {"name": "y"}]},
        {"a": [{"name": "y"}, {"name": "x", "v": 1}]},
        False,
    ),
    "an entry by name, changed": (
        {"a": [{"name": "x", "v": 1}]},
        {"a": [{"name": "other"}, {"name": "x", "v": 2}]},
        True,
    ),
    "an entry by name that lacks": ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, True),
    "entries by type": (
        {"a": [{"type": "Ready", "v": 1}]},
        {"a": [{"type": "Other"}, {"type": "Ready", "v": 1}]},
        False,
    ),
    "CPU said otherwise": ({"requests": {"cpu": "0.1"}}, {"requests": {"cpu": "100m"}}, False),
    "CPU as a number": ({"limits": {"cpu": 2}}, {"limits": {"cpu": "2"}}, False),
    "memory said otherwise": (
        {"limits": {"memory": "1024Mi"}},
        {"limits": {"memory": "1Gi"}},
        False,
    ),
    "memory of another unit": ({"limits": {"memory": "1G"}}, {"limits": {"memory": "1Gi"}}, True),
    "more CPU": ({"requests": {"cpu": "0.2"}}, {"requests": {"cpu": "100m"}}, True),
    "no quantity at all": ({"requests": {"cpu": "x"}}, {"requests": {"cpu": "y"}}, True),
    "a version that looks like an amount": ({"version": "1.10"}, {"version": "1.1"}, True),
    "an amount's digits as a text": ({"value": "1k"}, {"value": "1000"}, True),
    "text that is stored encoded": ({"stringData": {"k": "hi"}}, {"data": {"k": "aGk="}}, False),
    "other text": ({"stringData": {"k": "ho"}}, {"data": {"k": "aGk="}}, True),
    "text over data": (
        {"data": {"k": "old", "l": "eA=="}, "stringData": {"k": "hi"}},
        {"data": {"k": "aGk=", "l": "eA=="}},
        False,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_only_what_is_wanted_and_not_so_counts(name):
    wanted, live, expected = TABLE[name]
    assert differs(wanted, live) is expected


@pytest.mark.parametrize("thousandths", range(1, 4000, 7))
def test_every_amount_of_cpu_is_itself_however_it_is_written(thousandths):
    decimal = f"{thousandths / 1000:.3f}"
    live = {"requests": {"cpu": f"{thousandths}m"}}
    assert not differs({"requests": {"cpu": decimal}}, live)
    assert differs({"requests": {"cpu": f"{thousandths + 1}m"}}, live)


def test_comparing_changes_neither():
    wanted, live = {"stringData": {"k": "x"}, "data": {}}, {"data": {"k": "eA=="}}
    before = copy.deepcopy((wanted, live))
    differs(wanted, live)
    assert (wanted, live) == before


def webhook(**more):
    hook = {"name": "a", "clientConfig": {"service": {"name": "istiod"}}, **more}
    return {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "w"}, "webhooks": [hook]}


def test_what_istiod_writes_into_webhooks_is_its_own():
    wanted = webhook(failurePolicy="Ignore")
    wanted["webhooks"][0]["clientConfig"]["caBundle"] = ""
    live = webhook(failurePolicy="Fail")
    live["webhooks"][0]["clientConfig"]["caBundle"] = "Q0E="
    assert differs(wanted, live)
    assert not differs(without_istiod_fields(wanted), live)
    assert "caBundle" in wanted["webhooks"][0]["clientConfig"]


def test_what_a_webhook_is_for_stays_ours():
    wanted, live = webhook(sideEffects="None"), webhook(sideEffects="Some")
    assert differs(without_istiod_fields(wanted), live)
    wanted["webhooks"][0]["clientConfig"]["service"]["name"] = "istiod-2"
    assert differs(without_istiod_fields(wanted), webhook())


def test_only_webhooks_are_shared():
    manifest = {"kind": "ConfigMap", "metadata": {"name": "x"}, "failurePolicy": "Fail"}
    assert without_istiod_fields(manifest) is manifest


def test_every_object_says_whose_it_is_and_keeps_its_labels():
    manifest = {"kind": "Secret", "metadata": {"name": "s", "labels": {"a": "b"}}}
    assert with_environment_label(manifest, "pair")["metadata"]["labels"] == {
        "a": "b",
        ENVIRONMENT_LABEL: "pair",
    }
    assert with_environment_label({"metadata": {"labels": None}}, "pair")["metadata"]["labels"] == {
        ENVIRONMENT_LABEL: "pair"
    }
    assert manifest["metadata"]["labels"] == {"a": "b"}
    assert with_environment_label(manifest, "") is manifest


@pytest.mark.parametrize(
    ("meta", "said"),
    [({"name": "x"}, "Secret x"), ({"name": "x", "namespace": "n"}, "Secret n/x")],
)
def test_an_object_is_called_as_people_call_it(meta, said):
    assert describe({"kind": "Secret", "metadata": meta}) == said


def leaves(value, path=()):
    """Give the path of everything in a manifest that is neither mapping nor list."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path


def changed(value, path):
    """Return a copy in which the one leaf has another value."""
    if not path:
        return not value if isinstance(value, bool) else f"{value}x"
    result = copy.copy(value)
    result[path[0]] = changed(value[path[0]], path[1:])
    return result


def stored(manifest):
    """Return a copy of the manifest, as a server keeps it."""
    live = json.loads(json.dumps(manifest))
    if texts := live.pop("stringData", None):
        live["data"] = {k: base64.b64encode(v.encode()).decode() for k, v in texts.items()}
    return live


def assert_sound(manifests, chance, times):
    for manifest in manifests:
        assert not differs(manifest, stored(manifest)), describe(manifest)
    choices = [(m, p) for m in manifests for p in leaves(m) if p[0] != "status"]
    for manifest, path in chance.sample(choices, min(times, len(choices))):
        assert differs(changed(manifest, path), stored(manifest)), (describe(manifest), path)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_a_template_gives_is_itself_and_nothing_else(path):
    case = yaml.safe_load(path.read_text())
    manifests = render.render(case["template"], **case["values"])
    assert_sound(manifests, random.Random(7), 1000)


def test_what_istioctl_gives_is_itself_and_nothing_else(tmp_path, monkeypatch):
    tools = find_toolchain()
    if tools is None:
        pytest.skip("no toolchain is built on this machine")
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path))
    pair = [ClusterSpec(name=n, region=n, network=n) for n in ("beijing", "shanghai")]
    whole = resolve(Environment(name="pair", host=pair[0], remotes=pair[1:]), defaults.DEFAULTS)
    for operator in (whole.host_operator(), whole.remote_operator(pair[1], "198.18.0.3")):
        manifests = istioctl.manifests(tools.bin / "istioctl", operator)
        assert len(manifests) > 20
        objects = [without_istiod_fields(with_environment_label(m, "pair")) for m in manifests]
        kinds = [m for m in objects if m["kind"] == "CustomResourceDefinition"]
        assert_sound(kinds, random.Random(7), 50)
        assert_sound([m for m in objects if m not in kinds], random.Random(7), 1000)


def test_what_is_wanted_no_longer_is_a_difference_too():
    before = with_hash_annotation({**CONFIG, "data": {"a": "1", "b": "2"}})
    now = with_hash_annotation({**CONFIG, "data": {"a": "1"}})
    assert differs(now, before)
    assert not differs(before, before)


def test_an_object_without_a_mark_is_judged_by_its_fields_alone():
    wanted = with_hash_annotation({**CONFIG, "data": {"a": "1"}})
    assert not differs(wanted, {**CONFIG, "data": {"a": "1"}})


CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mesh"}}
