"""The run form: what Prefect's pages show of a flow, and what is refused before a run exists."""

import pytest
from deployed import deployed, put

from isthmus.environment import Environment, pair
from isthmus.errors import BadEnvironment

GOOD = {"name": "form", "host": {"name": "beijing"}, "remotes": [{"name": "shanghai"}]}
CLUSTER = {"name": "beijing"}
FILE = """\
name: form
pull: []
deployments:
- {name: form, entrypoint: flows.build.build, work_pool: {name: isthmus}}
- {name: form, entrypoint: flows.region_pair.region_pair, work_pool: {name: isthmus}}
"""


def schema(entrypoint="flows.build.build"):
    from prefect.flows import load_flow_from_entrypoint

    from isthmus.deploying import deployments

    return deployments.form_of(load_flow_from_entrypoint(entrypoint))


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


@pytest.fixture
def start(prefect, tmp_path):
    """Return a function that starts a run as the form does: by the API, with parameters."""
    from prefect import get_client

    deployed(put(tmp_path / "form", FILE))
    with get_client(sync_client=True) as client:

        def begin(flow, parameters):
            found = client.read_deployment_by_name(f"{flow}/form")
            return client.create_flow_run_from_deployment(found.id, parameters=parameters)

        yield begin


WRONG = [
    ({"name": "Form_1"}, "environment.name", "does not match"),
    ({"name": "x" * 41}, "environment.name", "is too long"),
    (
        {"provider": "aws"},
        "environment.provider",
        "is not one of ['lab', 'kubeconfig', 'kce', 'kind']",
    ),
    ({"kce": {"nodes": 0}}, "environment.kce.nodes", "minimum of 1"),
    ({"stack": "istio-9"}, "environment.stack", "is not one of ['istio-1.31', 'guide']"),
    ({"federation": "none"}, "environment.federation", "is not one of ['kubefed', 'direct']"),
    ({"remotes": []}, "environment.remotes", "should be non-empty"),
    ({"host": {}}, "environment.host", "'name' is a required property"),
    ({"host": {**CLUSTER, "region": "a b"}}, "environment.host.region", "does not match"),
    ({"host": {**CLUSTER, "kubeconfig": "near"}}, "environment.host.kubeconfig", "'^[/~]'"),
    ({"host": {**CLUSTER, "netwrok": "a"}}, "environment.host", "'netwrok' was unexpected"),
    ({"verification": {"requests": 1}}, "environment.verification.requests", "minimum of 2"),
    ({"verification": {"timeout": 0}}, "environment.verification.timeout", "0"),
    ({"images": {"tag": "a b"}}, "environment.images.tag", "does not match"),
    ({"images": {"archives": []}}, "environment.images.archives", "should be non-empty"),
    ({"images": {"archives": ["near"]}}, "environment.images.archives[0]", "'^[/~]'"),
]


@pytest.mark.parametrize(("more", "field", "rule"), WRONG)
def test_a_wrong_value_is_refused_with_its_field_and_rule_before_a_run_exists(
    start, more, field, rule
):
    from prefect.exceptions import PrefectHTTPStatusError

    with pytest.raises(PrefectHTTPStatusError) as caught:
        start("build", {"environment": {**GOOD, **more}})
    assert caught.value.response.status_code == 409
    detail = caught.value.response.json()["detail"]
    assert f"'{field}'" in detail
    assert rule in detail


@pytest.mark.parametrize(
    "parameters",
    [
        {"host_region": "a b", "remote_region": "c"},
        {"host_region": "a"},
        {"host_region": "a", "remote_region": "b", "if_busy": "never"},
        {"host_region": "a", "remote_region": "b", "kubeconfig": "near"},
    ],
)
def test_a_wrong_region_pair_is_refused_before_a_run_exists(start, parameters):
    from prefect.exceptions import PrefectHTTPStatusError

    with pytest.raises(PrefectHTTPStatusError, match="409"):
        start("region-pair", parameters)


@pytest.mark.parametrize(
    "environment",
    [
        GOOD,
        {**GOOD, "images": {}, "overlays": {"host": {}, "remote": {}}, "resources": {}},
        {**GOOD, "images": {"tag": "1.2", "pull_policy": "Always"}},
        {**GOOD, "images": {"archives": ["/images", "~/curl.tar"]}},
        {
            **GOOD,
            "provider": "kubeconfig",
            "host": {**CLUSTER, "kubeconfig": "~/k", "context": "a"},
        },
    ],
)
def test_what_the_form_can_send_is_taken(start, environment):
    assert start("build", {"environment": environment}).state.is_scheduled()


def test_what_only_two_fields_together_break_is_told_in_the_run_s_first_second_in_our_words(
    prefect,
):
    from flows.build import build

    twins = {**GOOD, "remotes": [CLUSTER]}
    state = build(environment=twins, return_state=True)
    assert state.is_failed()
    rule = "environment.remotes.0.name: must be unique: it is the host's name too"
    assert rule in state.message
    assert "pydantic" not in state.message


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
