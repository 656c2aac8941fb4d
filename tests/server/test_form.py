"""The run form at a server: what is refused before a run exists, and what is taken."""

import pytest
from deployed import deployed, put

GOOD = {"name": "form", "host": {"name": "beijing"}, "remotes": [{"name": "shanghai"}]}
CLUSTER = {"name": "beijing"}
FILE = """\
name: form
pull: []
deployments:
- {name: form, entrypoint: flows.build.build, work_pool: {name: isthmus}}
- {name: form, entrypoint: flows.region_pair.region_pair, work_pool: {name: isthmus}}
"""


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
