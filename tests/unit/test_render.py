"""Templates and merging: the same values give the same manifests, overlays win where they speak."""

import jinja2
import pytest

from isthmus.render import merge, render, with_pods


def test_an_unknown_template_and_a_missing_value_are_errors():
    with pytest.raises(jinja2.TemplateNotFound):
        render("no/such.yaml.j2")
    with pytest.raises(jinja2.UndefinedError, match="account"):
        render("wiring/token.yaml.j2")


@pytest.mark.parametrize("secret", ['"', "a: b", "x\ny", "'<&>", "{{ x }}", "\\", "*", "\u00fc"])
def test_free_text_comes_out_as_it_went_in(secret):
    [made] = render("wiring/remote-secret.yaml.j2", cluster="xian", kubeconfig=secret)
    assert made["stringData"] == {"xian": secret}


@pytest.mark.parametrize(
    ("base", "overlay", "expected"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": {"b": 1}}, {"a": "x"}, {"a": "x"}),
        (
            [{"name": "x", "v": 1, "w": 1}, {"name": "y"}],
            [{"name": "x", "v": 2}, {"name": "z"}],
            [{"name": "x", "v": 2, "w": 1}, {"name": "y"}, {"name": "z"}],
        ),
        ([{"name": "x"}], [{"other": 1}], [{"other": 1}]),
    ],
)
def test_an_overlay_wins_where_it_speaks(base, overlay, expected):
    assert merge(base, overlay) == expected


def test_merging_changes_neither():
    base, overlay = {"a": [{"name": "x", "v": {"w": 1}}]}, {"a": [{"name": "x", "v": {"w": 2}}]}
    merge(base, overlay)
    assert base == {"a": [{"name": "x", "v": {"w": 1}}]}


def test_fields_are_laid_over_every_pod_and_each_of_its_containers_and_nothing_else():
    pod = {"containers": [{"name": "a", "image": "i"}, {"name": "b", "resources": {"x": 1}}]}
    service = {"kind": "Service", "spec": {"ports": []}}
    given = [
        {"kind": "Pod", "spec": pod},
        {"kind": "Deployment", "spec": {"replicas": 1, "template": {"spec": pod}}},
        service,
    ]
    made = with_pods(given, {"securityContext": {"runAsUser": 7}}, {"resources": {"y": 2}})
    over = {
        "securityContext": {"runAsUser": 7},
        "containers": [
            {"name": "a", "image": "i", "resources": {"y": 2}},
            {"name": "b", "resources": {"x": 1, "y": 2}},
        ],
    }
    assert made[0]["spec"] == over
    assert made[1]["spec"] == {"replicas": 1, "template": {"spec": over}}
    assert made[2] == service
    assert with_pods(given, {}, {}) == given
