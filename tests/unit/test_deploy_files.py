"""What `isthmus deploy` reads, and how a file that breaks a rule is refused before any server."""

import re
from pathlib import Path

import pytest
import yaml
from deployed import put

from isthmus.errors import BadEnvironment, Usage
from isthmus.prefect_deploy import automations, loader, webhook

ROOT = Path(__file__).parents[2]
CASES = yaml.safe_load((ROOT / "tests/cases/deployments/broken.yaml").read_text("utf-8"))
CANARY = "canary-webhook-7f3a"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["is"])
def test_a_broken_file_is_refused_with_file_line_key_and_rule(tmp_path, case):
    path = put(tmp_path, case["text"])
    with pytest.raises(BadEnvironment) as caught:
        loader.read(path)
    start = f"{path}:{case['line']}: {case['key']}: {case['rule']}"
    assert start in caught.value.message
    assert caught.value.exit_code == 65
    assert f"isthmus deploy {path}" in caught.value.hint


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["is"])
def test_one_mistake_is_told_once(tmp_path, case):
    with pytest.raises(BadEnvironment) as caught:
        loader.read(put(tmp_path, case["text"]))
    places = re.findall(r"^\S+:\d+: (\S+): ", caught.value.message, re.MULTILINE)
    assert len(places) == len(set(places)) == 1


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(BadEnvironment, match="cannot be read: No such file") as caught:
        loader.read(tmp_path / "none.yaml")
    assert "isthmus deploy FILE" in caught.value.hint


def test_the_project_s_own_file_says_what_the_issue_asks_for():
    plan = loader.read(ROOT / "deployments/prefect.yaml")
    schedules = {d.name: [s for s, _ in d.schedules] for d in plan.deployments}
    assert set(schedules) == {
        f"{n}/{n}" for n in ("rebuild", "build", "verify", "diagnose", "region-pair", "teardown")
    }
    [nightly], [often] = schedules["rebuild/rebuild"], schedules["verify/verify"]
    assert (nightly.timezone, nightly.active) == ("Asia/Shanghai", None)
    assert (often.cron, often.active) == ("*/15 * * * *", False)
    assert plan.environments == {"beijing-shanghai"}


def test_prefect_itself_can_read_the_project_s_own_file():
    from prefect.cli.deploy._models import PrefectYamlModel

    text = (ROOT / "deployments/prefect.yaml").read_text()
    assert len(PrefectYamlModel.model_validate(yaml.safe_load(text)).deployments) == 6


def test_an_environment_may_be_the_path_of_a_file_which_counts_from_there(tmp_path):
    near = "name: near\nprovider: kubeconfig\nhost: {name: b, kubeconfig: k, context: b}\n"
    put(tmp_path, near + "remotes: [{name: c, kubeconfig: k, context: c}]\n", name="near.yaml")
    text = "name: a\npull: []\ndeployments:\n- name: build\n  entrypoint: flows.build.build\n"
    more = "  parameters: {environment: near.yaml}\n  work_pool: {name: isthmus}\n"
    [planned] = loader.read(put(tmp_path, text + more)).deployments
    assert planned.parameters["environment"]["host"]["kubeconfig"] == str(tmp_path / "k")


def test_an_environment_file_that_breaks_a_rule_is_named_with_its_own_line(tmp_path):
    near = put(tmp_path, "name: near\nhost: {name: b}\nremotes: []\n", name="near.yaml")
    text = "name: a\npull: []\ndeployments:\n- name: build\n  entrypoint: flows.build.build\n"
    more = "  parameters: {environment: near.yaml}\n  work_pool: {name: isthmus}\n"
    with pytest.raises(BadEnvironment, match=rf"{near}:3: remotes: must have at least one"):
        loader.read(put(tmp_path, text + more))


def test_no_automations_file_means_no_automations(tmp_path):
    assert automations.read(tmp_path / "automations.yaml") == []


@pytest.mark.parametrize(
    ("trigger", "rule"),
    [
        ("{type: event, posture: Reactive, expects: [a]}", "trigger.expects: is an unknown key"),
        ("{type: event, posture: Sometimes}", "trigger.posture: "),
    ],
)
def test_a_broken_automation_is_refused_with_its_place(tmp_path, trigger, rule):
    text = (
        "automations:\n- name: a\n  description: b\n"
        f"  trigger: {trigger}\n  actions: [{{type: cancel-flow-run}}]\n"
    )
    with pytest.raises(BadEnvironment) as caught:
        automations.read(put(tmp_path, text, name="automations.yaml"))
    assert f"automations.yaml:4: automations[0].{rule}" in caught.value.message


def test_no_payload_of_ours_can_hold_a_parameter():
    specs = automations.read(ROOT / "deployments/automations.yaml")
    payloads = [a["payload"] for spec in specs for a in spec.actions if "payload" in a]
    assert len(payloads) == 2
    for payload in payloads:
        assert "parameters" not in payload
        sent = re.findall(r'"(\w+)":', payload)
        assert sent == ["environment", "step", "cluster", "reason", "link"]


def private(tmp_path, text, mode=0o600):
    path = tmp_path / "hook"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_webhook_s_address_comes_from_a_file_or_the_variable(tmp_path, monkeypatch):
    url = f"https://hooks.example.com/{CANARY}"
    assert webhook.read(private(tmp_path, f"{url}\n")).url == url
    assert webhook.read(None) is None
    monkeypatch.setenv("ISTHMUS_WEBHOOK_URL", url)
    assert webhook.read(None).url == url
    assert CANARY not in repr(webhook.read(None))


def test_a_file_that_others_can_read_is_refused_without_its_content(tmp_path):
    with pytest.raises(Usage, match="must be readable by its owner only") as caught:
        webhook.read(private(tmp_path, f"https://hooks.example.com/{CANARY}", 0o644))
    assert "chmod 600" in caught.value.hint
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "hooks.example.com/x", "ftp://example.com/x", "https:///", "https://a/x https://b"]
)
def test_what_is_no_address_is_refused_without_a_word_of_it(tmp_path, text):
    with pytest.raises(Usage, match="must hold one address") as caught:
        webhook.read(private(tmp_path, text + CANARY if text else text))
    assert CANARY not in str(caught.value)
