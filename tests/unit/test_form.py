"""The run form: what Prefect's pages show of a flow, and what it sends."""

import pytest

from isthmus.environment import Environment, pair
from isthmus.errors import BadEnvironment

GOOD = {"name": "form", "host": {"name": "beijing"}, "remotes": [{"name": "shanghai"}]}


def schema(entrypoint="flows.build.build"):
    from prefect.flows import load_flow_from_entrypoint

    from isthmus.prefect_deploy import deployments

    return deployments.run_form_schema(load_flow_from_entrypoint(entrypoint))


def found_at(field, entrypoint):
    """Return the title of a part, which the form shows where the field has none of its own."""
    return schema(entrypoint)["definitions"][field["$ref"].split("/")[-1]]["title"]


def every(found):
    """Yield every field of the form, those of its parts too."""
    parts = [found, *found.get("definitions", {}).values()]
    yield from (field for part in parts for field in part.get("properties", {}).items())


def test_every_field_has_a_title_and_says_what_it_is_for():
    for entrypoint in (
        "flows.build.build",
        "flows.rebuild.rebuild",
        "flows.region_pair.region_pair",
    ):
        for name, field in every(schema(entrypoint)):
            title = field.get("title") or found_at(field, entrypoint)
            assert title[0].isupper(), name
            assert "_" not in title, name
            described = field.get("description") or "$ref" in field or name == "if_busy"
            assert described, name


@pytest.mark.parametrize("name", ["provider", "stack", "federation"])
def test_what_can_be_chosen_is_a_list_with_the_default_chosen(name):
    field = schema()["definitions"]["Environment"]["properties"][name]
    assert field["default"] in field["enum"]
    assert schema("flows.region_pair.region_pair")["properties"][name]["enum"] == field["enum"]


def test_a_region_is_chosen_from_the_known_ones_or_typed():
    regions = [
        schema("flows.region_pair.region_pair")["properties"]["host_region"],
        schema()["definitions"]["ClusterSpec"]["properties"]["region"],
    ]
    for region in regions:
        known, another = region["anyOf"]
        assert {"cn-beijing-6", "cn-shanghai-2"} <= set(known["enum"])
        assert another["type"] == "string"


def test_what_is_seldom_needed_is_folded_and_no_field_asks_for_none():
    found = schema()
    for name in ("images", "resources", "namespaces", "pods", "overlays", "kce", "timeouts"):
        field = found["definitions"]["Environment"]["properties"][name]
        assert field["anyOf"][0]["title"] == "Default"
        assert field["default"] == {}
    assert not [n for n, field in every(found) if {"type": "null"} in field.get("anyOf", [])]


def test_what_the_form_sends_when_nothing_is_changed_is_the_default():
    parts = {
        "images": {},
        "resources": {},
        "overlays": {},
        "kce": {},
        "timeouts": {},
        "namespaces": {},
        "pods": {},
    }
    sent = {**parts, "verification": {"requests": 100}}
    assert Environment.model_validate({**GOOD, **sent}) == Environment.model_validate(GOOD)


@pytest.mark.parametrize(
    ("regions", "choices", "told"),
    [
        (("a-1", "a-1"), {}, "remote_region: must be another region than the host's (got 'a-1')"),
        (("a.1", "a_1"), {}, "remote_region: must be unique: it is the host's name too"),
        (("no", "a-1"), {}, "host_region: must not be a word that YAML takes"),
        (("x" * 21, "y" * 19), {}, "host_region and remote_region together: must have at most 40"),
        (("a-1", "b-1"), {"provider": "kubeconfig"}, "kubeconfig: is required by provider"),
    ],
)
def test_two_regions_that_make_no_environment_are_refused_with_the_rule(regions, choices, told):
    with pytest.raises(BadEnvironment) as caught:
        pair(*regions, **choices)
    assert caught.value.message.startswith(told)
    assert "run" in caught.value.hint


def test_names_follow_from_the_regions():
    made = pair("cn-beijing-6", "CN_Shanghai.2")
    assert made.name == "cn-beijing-6-cn-shanghai-2"
    assert [(c.name, c.region) for c in made.clusters] == [
        ("cn-beijing-6", "cn-beijing-6"),
        ("cn-shanghai-2", "CN_Shanghai.2"),
    ]


def test_a_relative_path_is_refused_where_there_is_no_file_it_could_count_from():
    cluster = {"name": "a", "kubeconfig": "near", "context": "c"}
    with pytest.raises(ValueError, match="must be an absolute path: a run has no folder"):
        Environment.model_validate({**GOOD, "provider": "kubeconfig", "host": cluster})
