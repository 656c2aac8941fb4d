"""What an environment file may say, and how one that breaks a rule is refused."""

import re
from pathlib import Path

import pytest
import yaml

from isthmus.environment import (
    Environment,
    Images,
    ResourceRequests,
    Resources,
    dumps,
    example,
    load,
)
from isthmus.errors import BadEnvironment, Usage

ROOT = Path(__file__).parents[2]
CASES = yaml.safe_load((ROOT / "tests/cases/environments/broken.yaml").read_text("utf-8"))
NO_ENVIRONMENTS = ("prefect", "automations")
READY = sorted(p for p in (ROOT / "deployments").glob("*.yaml") if p.stem not in NO_ENVIRONMENTS)
MINIMAL = "name: a\nhost: {name: b}\nremotes: [{name: c}]\n"
EXISTING = (
    "name: a\nprovider: kubeconfig\n"
    "host: {name: b, kubeconfig: near/k, context: b}\n"
    "remotes: [{name: c, kubeconfig: ~/k, context: c}]\n"
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path, home):
    def write(content):
        path = tmp_path / "broken.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path):
    with pytest.raises(BadEnvironment) as caught:
        load(path)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["is"])
def test_a_broken_file_is_refused_with_file_line_key_and_rule(case, file, home):
    path = file(bytes.fromhex(case["hex"]) if "hex" in case else case["text"])
    error = refused(path)
    start = f"{path}:{case['line']}: {case['key']}: "
    told = [line for line in error.message.splitlines() if line.startswith(start)]
    assert any(case["rule"] in line for line in told), error.message
    assert error.exit_code == 65
    assert sorted(path.parent.iterdir()) == [path], "something was created"


def test_every_case_is_about_something_else():
    assert len({case["is"] for case in CASES}) == len(CASES) >= 45


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["is"])
def test_one_mistake_is_told_once(case, file):
    error = refused(file(bytes.fromhex(case["hex"]) if "hex" in case else case["text"]))
    places = re.findall(r"^\S+: (\S+): ", error.message, re.MULTILINE)
    assert len(places) == len(set(places)), error.message


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    error = refused(tmp_path / "none.yaml")
    assert error.message == f"{tmp_path}/none.yaml: file: cannot be read: No such file or directory"
    assert error.hint == "give the path of an environment file, or write a first one: isthmus init"


def test_a_folder_is_refused(tmp_path):
    assert "is a folder, not a file" in refused(tmp_path).message


def test_a_device_is_refused_without_waiting_for_it():
    assert "a device or a pipe" in refused(Path("/dev/zero")).message


def test_a_path_that_cannot_be_one_is_refused():
    assert "cannot be read: " in refused(Path("a\0b")).message


def test_a_file_of_somebody_else_is_refused(file, monkeypatch):
    def forbid(*_):
        raise PermissionError(13, "Permission denied")

    path = file(MINIMAL)
    monkeypatch.setattr(Path, "open", forbid)
    assert "cannot be read: Permission denied" in refused(path).message


def test_a_file_that_is_too_large_is_refused(file):
    assert "at most 1 MiB" in refused(file(MINIMAL + "#" * 1024 * 1024)).message


def test_a_file_with_more_values_than_any_mesh_needs_is_refused(file):
    assert "at most 10000 keys and values" in refused(file(f"name: [{'a,' * 500_000}]\n")).message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "{? "])
def test_a_file_that_is_nested_without_end_is_refused(file, opening):
    deep = f"name: a\noverlays:\n  {opening * 10_000}\n"
    assert "must be nested at most 32 levels deep" in refused(file(deep)).message


def test_the_next_command_is_told(file):
    path = file("name: A\n")
    assert refused(path).hint == f"correct it, then check again: isthmus validate {path}"


def test_every_problem_of_a_file_is_told_in_the_order_of_its_lines(file):
    path = file(
        "name: A\n"
        "provider: aws\n"
        "host: {name: b, network: net, colour: red}\n"
        "remotes:\n"
        "- {name: b, network: net}\n"
        "verification: {requests: 1}\n"
    )
    told = [line.removeprefix(f"{path}:") for line in refused(path).message.splitlines()]
    assert [": ".join(line.split(": ")[:2]) for line in told] == [
        "1: name",
        "2: provider",
        "3: host.colour",
        "5: remotes[0].name",
        "5: remotes[0].network",
        "6: verification.requests",
    ]


def test_a_thousand_problems_do_not_fill_the_screen(file):
    path = file("name: a\nhost: {name: b}\nremotes:\n" + "- X\n" * 1000)
    assert len(refused(path).message.splitlines()) == 21
    assert refused(path).message.endswith("... and 980 more")


def test_the_value_is_told_as_the_file_spells_it(file):
    assert "(got yes)" in refused(file("name: yes\n")).message
    assert "(got nothing)" in refused(file("name:\nhost: {name: b}\n")).message
    assert "(got 'A b')" in refused(file("name: A b\n")).message


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL + "token: SECRET\n",
        "name: SECRET\nhost: {name: b}\n",
        "name: a\nSECRET: 1\n",
        "name: a\nhost: {name: b}\nremotes: [{name: c}]\nimages: [SECRET]\n",
        "name: a\nhost: !SECRET b\n",
        "name: a\nhost: {name: b}\nremotes: [{name: c}]\nprovider: SECRET\n",
    ],
)
def test_what_may_be_a_secret_is_not_repeated_whole(file, text):
    secret = "Secret" * 50
    message = str(refused(file(text.replace("SECRET", secret))))
    assert secret[:70] not in message.replace("'", "")


def test_a_secret_under_an_unknown_key_is_not_repeated_at_all(file):
    assert "hunter2" not in str(refused(file(MINIMAL + "password: hunter2\n")))


def test_a_value_cannot_move_the_terminals_cursor(file):
    assert "\x1b" not in str(refused(file('name: "\\e[2J"\n"\\e[1m": 1\n')))


def test_the_smallest_file_has_defaults_for_all_the_rest(file):
    environment = load(file(MINIMAL))
    assert (environment.provider, environment.stack) == ("lab", "istio-1.31")
    assert environment.federation == "kubefed"
    assert [c.region for c in environment.clusters] == ["b", "c"]
    assert [c.network for c in environment.clusters] == ["network1", "network2"]
    assert (environment.verification.requests, environment.verification.timeout) == (100, 10.0)


def test_a_mark_of_utf_8_at_the_start_does_no_harm(file):
    assert load(file(b"\xef\xbb\xbf" + MINIMAL.encode())).name == "a"


def test_lines_may_end_as_windows_ends_them(file):
    assert load(file(MINIMAL.replace("\n", "\r\n"))).name == "a"


def test_clusters_are_the_host_then_the_remotes_and_found_by_name(file):
    environment = load(file(MINIMAL))
    assert [cluster.name for cluster in environment.clusters] == ["b", "c"]
    assert environment.cluster("c") is environment.remotes[0]
    with pytest.raises(Usage, match="has no cluster d") as caught:
        environment.cluster("d")
    assert caught.value.hint == "choose one of b, c"


def test_a_kubeconfig_counts_from_the_files_folder_or_from_home(file, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    environment = load(file(EXISTING))
    assert environment.host.kubeconfig == tmp_path / "near/k"
    assert environment.remotes[0].kubeconfig == Path("/home/somebody/k")


def test_amounts_may_be_written_as_numbers_as_kubernetes_allows(file):
    resources = load(
        file(MINIMAL + "resources: {istiod: {cpu: 0.5, memory: 512Mi}, gateway: {cpu: 1}}\n")
    ).resources
    assert resources.istiod == ResourceRequests(cpu="0.5", memory="512Mi")
    assert resources.gateway == ResourceRequests(cpu="1")


def test_how_long_things_may_take_is_seconds_and_at_least_one(file):
    assert load(file(MINIMAL + "timeouts: {deployment: 600}\n")).timeouts.deployment == 600
    for wrong in ("{deployment: 0}", "{deployment: 10m}", "{deployment: -1}", "{rollout: 60}"):
        with pytest.raises(BadEnvironment, match="timeouts"):
            load(file(MINIMAL + f"timeouts: {wrong}\n"))


def test_namespaces_may_bear_labels_but_none_of_which_the_mesh_is_made(file):
    label = "pod-security.kubernetes.io/enforce: privileged"
    found = load(file(MINIMAL + f"namespaces: {{labels: {{{label}}}}}\n")).namespaces.labels
    assert found == {"pod-security.kubernetes.io/enforce": "privileged"}
    for wrong in ("a b: c", "a: b c", "istio-injection: disabled", "istio.io/rev: x",
                  "topology.istio.io/network: n", "isthmus/environment: other"):  # fmt: skip
        with pytest.raises(BadEnvironment, match="namespaces"):
            load(file(MINIMAL + f"namespaces: {{labels: {{{wrong}}}}}\n"))


def test_pods_may_be_given_fields_but_none_that_make_them_what_they_are(file):
    given = "{spec: {securityContext: {runAsNonRoot: true}}, container: {resources: {}}}"
    found = load(file(MINIMAL + f"pods: {given}\n")).pods
    assert found.spec == {"securityContext": {"runAsNonRoot": True}}
    for wrong in ("{spec: {containers: []}}", "{spec: {restartPolicy: Never}}", "{labels: {}}",
                  "{container: {image: a/b:1}}", "{container: {command: [sh]}}"):  # fmt: skip
        with pytest.raises(BadEnvironment, match="pods"):
            load(file(MINIMAL + f"pods: {wrong}\n"))


def test_an_overlay_is_kept_as_it_is_written(file):
    overlay = (
        "overlays: {host: {meshConfig: {accessLogFile: /dev/stdout}, since: 2026-01-01, n: ~}}\n"
    )
    assert load(file(MINIMAL + overlay)).overlays.host == {
        "meshConfig": {"accessLogFile": "/dev/stdout"},
        "since": "2026-01-01",
        "n": None,
    }


def test_rules_hold_for_environments_that_come_from_no_file():
    with pytest.raises(ValueError, match="network of its own"):
        Environment.model_validate(
            {
                "name": "a",
                "host": {"name": "b", "network": "net"},
                "remotes": [{"name": "c", "network": "net"}],
            }
        )


@pytest.mark.parametrize("text", [MINIMAL, EXISTING, MINIMAL + "overlays: {host: {a: ~, b: 'no'}}"])
def test_a_copy_of_an_environment_means_the_same_in_any_folder(file, tmp_path, text):
    environment = load(file(text))
    copy = tmp_path / "elsewhere" / "environment.yaml"
    copy.parent.mkdir()
    copy.write_text(dumps(environment), "utf-8")
    assert load(copy) == environment


def test_an_environment_survives_being_a_parameter_in_json(file):
    environment = load(file(EXISTING))
    assert Environment.model_validate(environment.model_dump(mode="json")) == environment


@pytest.mark.parametrize("name", ["beijing-shanghai", "first"])
def test_the_example_is_a_valid_environment_of_two_clusters(file, name):
    environment = load(file(example(name)))
    assert environment.name == name
    assert [cluster.name for cluster in environment.clusters] == ["beijing", "shanghai"]
    assert load(file(example())) == load(ROOT / "deployments/lab.yaml")


@pytest.mark.parametrize("path", READY, ids=lambda path: path.name)
def test_every_ready_environment_loads(path):
    assert len(load(path).clusters) >= 2


def test_what_is_set_goes_over_the_defaults():
    own, defaults = Images(tag="2"), Images(hub="example.com/istio", tag="1")
    assert own.with_defaults(defaults) == Images(hub="example.com/istio", tag="2")
    amounts = Resources(istiod=ResourceRequests(cpu="1")).with_defaults(
        Resources(istiod=ResourceRequests(cpu="2", memory="1Gi"))
    )
    assert amounts == Resources(istiod=ResourceRequests(cpu="1", memory="1Gi"))


def test_the_schema_is_fit_for_a_form():
    schema = Environment.model_json_schema()
    assert schema["required"] == ["name", "host", "remotes"]
    assert schema["$defs"]["ClusterSpec"]["required"] == ["name"]
    for model in [schema, *schema["$defs"].values()]:
        assert model["title"] and model["description"]
        for field in model["properties"].values():
            part = schema["$defs"].get(field.get("$ref", "").removeprefix("#/$defs/"), {})
            assert field.get("title", part.get("title")) and field["description"].endswith(".")
    assert schema["properties"]["host"]["title"] == "Host"
