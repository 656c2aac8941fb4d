"""The verbs, in this process: what they print where, what they refuse, what they leave behind."""

import json
import re
import shutil
import sys
import types
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from isthmus import binaries, errors, events, file_lock, plan, providers, state
from isthmus.cli import environment_argument, prefect_setup
from isthmus.cli.main import attempt
from isthmus.cli.main import isthmus as group
from isthmus.environment import load
from isthmus.events import Event
from isthmus.verification import ClientVerdict, Finding, Verification

FILE = """\
name: {name}
host: {{name: beijing}}
remotes: [{{name: shanghai}}]
"""


REASON = Finding(kind="silent", about="shanghai", text="shanghai never answered")


class Provider:
    """Says no if `trouble` is set."""

    trouble = None
    disposable = True

    def check(self, environment):
        if self.trouble:
            raise self.trouble


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("ISTHMUS_DEBUG", raising=False)
    monkeypatch.setattr(prefect_setup, "server_context", lambda tag: nullcontext())
    return tmp_path / "home"


@pytest.fixture
def provider(monkeypatch):
    found = Provider()
    monkeypatch.setattr(providers, "get_provider", lambda environment: found)
    return found


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text(FILE.format(name="silk-road"))
    return str(path)


@pytest.fixture
def isthmus(capsys):
    """Return a function that runs a command line: exit code, stdout, stderr."""

    def run(*arguments):
        arguments = [str(argument) for argument in arguments]
        code, _ = attempt(lambda: group.main(args=arguments, standalone_mode=False))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def flow(monkeypatch):
    """Return a function that puts a function in the place of a verb's flow."""

    def put(verb, body):
        names = {"up": ("flows.build", "build"), "down": ("flows.teardown", "teardown")}
        module, name = names.get(verb, ("flows.verify", "verify"))
        fake = types.ModuleType(module)
        setattr(fake, name, lambda environment, if_busy: body(environment))
        monkeypatch.setitem(sys.modules, module, fake)

    return put


def verification(*findings):
    client = ClientVerdict(
        cluster="beijing",
        requests=100,
        failed=0,
        answers={"beijing": 52, "shanghai": 48},
        expected={"beijing": 0.5, "shanghai": 0.5},
        observed_endpoints=[],
        expected_endpoints=[],
        findings=findings,
    )
    return Verification(environment="silk-road", clients=[client])


def build(environment):
    events.publish(Event("started", "a", "install host", "beijing"))
    events.publish(Event("done", "a", "install host", "beijing", "4 objects changed"))
    return verification()


def test_up_says_that_every_region_answers_every_other(isthmus, provider, flow, file):
    flow("up", build)
    code, out, err = isthmus("up", file)
    assert code == 0
    assert "verified: every region answers every other" in out
    assert re.search(r"beijing +100 +0 +52 \(\d+-\d+\) +48 \(\d+-\d+\) +pass", out)
    assert re.search(r"\d\.\ds  ok +install host  beijing  4 objects changed", err)
    assert re.search(r"up silk-road: \d+\.\d s", err)


def test_a_run_of_the_command_line_has_a_short_tag_of_its_own(
    isthmus, provider, flow, tmp_path, monkeypatch
):
    tags = []
    monkeypatch.setattr(
        prefect_setup, "server_context", lambda tag: tags.append(tag) or nullcontext()
    )
    flow("up", build)
    long = tmp_path / "long.yaml"
    long.write_text(FILE.format(name="a-very-long-road-of-silk-and-spice"))
    for _ in range(2):
        assert isthmus("up", long)[0] == 0
    first, second = tags
    assert first != second, "a run that is given up is found by its own"
    assert all(re.fullmatch(r"cli-[0-9a-f]{8}", tag) for tag in tags)


def test_up_with_json_prints_the_verification_and_nothing_else(isthmus, provider, flow, file):
    flow("up", build)
    code, out, _ = isthmus("up", file, "-o", "json")
    document = json.loads(out)
    assert code == 0
    assert (document["apiVersion"], document["kind"]) == ("isthmus/v1", "Verification")
    assert document["clients"][0]["answers"] == {"beijing": 52, "shanghai": 48}
    assert list(document) == sorted(document)


def test_up_shows_the_steps_and_their_critical_path_if_asked(isthmus, provider, flow, file):
    flow("up", build)
    _, _, err = isthmus("up", file, "--steps")
    assert re.search(r"critical path: .* s of .* s: install host \(beijing\)", err)


def test_a_failed_verification_is_printed_too_and_ends_with_79(isthmus, provider, flow, file):
    flow("up", lambda environment: verification(REASON))
    code, out, err = isthmus("up", file, "-o", "json")
    assert code == 79
    assert json.loads(out)["verdict"] == "fail"
    assert "silk-road is not one mesh" in err


def test_up_remembers_the_environment_so_that_its_name_is_enough(
    isthmus, provider, flow, file, home
):
    flow("up", build)
    isthmus("up", file)
    Path(file).unlink()
    seen = []
    flow("down", seen.append)
    code, out, _ = isthmus("down", "silk-road")
    assert (code, out) == (0, "silk-road: deleted\n")
    assert [c.name for c in seen[0].clusters] == ["beijing", "shanghai"]
    assert not state.folder("silk-road").exists()


def test_down_by_name_works_after_an_up_that_crashed(isthmus, provider, flow, file):
    def crash(environment):
        raise errors.ClusterUnreachable("no answer", cluster="beijing", step="install host")

    flow("up", crash)
    code, _, err = isthmus("up", file)
    assert code == 69
    assert "beijing: install host: no answer" in err
    flow("down", lambda environment: None)
    assert isthmus("down", "silk-road")[0] == 0


def test_down_may_be_said_again_once_all_is_gone_and_a_typing_error_is_still_one(
    isthmus, provider, flow, file
):
    flow("up", lambda environment: None)
    flow("down", lambda environment: None)
    isthmus("up", file)
    assert isthmus("down", "silk-road")[:2] == (0, "silk-road: deleted\n")
    assert isthmus("down", "silk-road")[:2] == (0, "silk-road: already deleted\n")
    assert isthmus("down", "silkroad")[0] == 64


def test_an_environment_whose_folder_was_lost_is_not_said_to_be_gone(isthmus, provider, flow, file):
    flow("up", lambda environment: None)
    flow("down", lambda environment: None)
    isthmus("up", file)
    isthmus("down", "silk-road")
    isthmus("up", file)
    shutil.rmtree(state.folder("silk-road"))
    assert isthmus("down", "silk-road")[0] == 64


def test_a_down_that_fails_forgets_nothing(isthmus, provider, flow, file):
    environment_argument.save(load(Path(file)))

    def refuse(environment):
        raise errors.Rejected("finalizers", cluster="beijing")

    flow("down", refuse)
    assert isthmus("down", "silk-road")[0] == 1
    assert state.environment_names() == ["silk-road"]


def test_the_copy_means_the_same_kubeconfig_from_any_folder(
    isthmus, provider, flow, tmp_path, monkeypatch
):
    path = tmp_path / "env.yaml"
    path.write_text(
        "name: own\nprovider: kubeconfig\n"
        "host: {name: a, kubeconfig: kube/a.conf, context: a}\n"
        "remotes: [{name: b, kubeconfig: kube/b.conf, context: b}]\n"
    )
    # It has to hold on a machine without a toolchain too.
    monkeypatch.setattr("isthmus.binaries.check", lambda environment: None)
    flow("up", lambda environment: verification())
    assert isthmus("up", str(path))[0] == 0
    copy = load(state.stored_environment_path("own"))
    assert copy == load(path)
    assert copy.host.kubeconfig == tmp_path / "kube" / "a.conf"
    assert state.stored_environment_path("own").stat().st_mode & 0o077 == 0


def test_an_unprepared_machine_is_told_before_anything_is_written(
    isthmus, provider, flow, file, home
):
    provider.trouble = errors.Unprepared("not root", hint="run as root")
    flow("up", build)
    code, _, err = isthmus("up", file)
    assert code == 69
    assert "not root" in err and "-> run as root" in err
    assert not home.exists()


def test_preflight_says_whether_it_can_be_built_and_writes_nothing(isthmus, provider, file, home):
    code, out, _ = isthmus("preflight", file)
    assert (code, out) == (0, "silk-road: can be built\n") and not home.exists()
    document = json.loads(isthmus("preflight", file, "-o", "json")[1])
    assert (document["kind"], document["verdict"]) == ("Preflight", "pass")
    assert document["refusals"] == []


def test_preflight_lists_every_refusal_and_ends_as_up_would(isthmus, provider, file):
    parts = [
        errors.ClusterUnreachable("is silent", cluster="beijing", hint="wake it"),
        errors.BadEnvironment("is the same", cluster="shanghai", hint="choose another"),
    ]
    provider.trouble = errors.combine_errors(parts, "both are wrong:", "do that")
    code, out, err = isthmus("preflight", file, "-o", "json")
    assert code == 65
    assert "- beijing: is silent\n    wake it" in err
    assert json.loads(out)["refusals"] == [
        {"cluster": "beijing", "kind": "ClusterUnreachable", "text": "is silent", "do": "wake it"},
        {
            "cluster": "shanghai",
            "kind": "BadEnvironment",
            "text": "is the same",
            "do": "choose another",
        },
    ]


def test_what_is_being_looked_at_is_shown(isthmus, provider, file, monkeypatch):
    monkeypatch.setattr(provider, "check", lambda environment: events.report_progress("asking all"))
    assert re.search(r"check +- +asking all", isthmus("preflight", file)[2])


@pytest.mark.parametrize("verb", ["up", "preflight"])
def test_no_cluster_is_probed_while_a_run_is_at_work(isthmus, provider, flow, file, verb):
    flow("up", build)
    isthmus("up", file)
    provider.trouble = AssertionError("must not be asked")
    with file_lock.acquire("silk-road"):
        assert isthmus(verb, file)[0] == 75


def test_up_refuses_another_host_for_what_it_built(isthmus, provider, flow, file):
    flow("up", build)
    isthmus("up", file)
    Path(file).write_text(FILE.format(name="silk-road").replace("beijing", "delhi"))
    provider.trouble = AssertionError("must not be asked")
    code, _, err = isthmus("up", file)
    assert code == 65
    assert "the host beijing" in err and "isthmus down silk-road" in err


def test_up_does_not_lose_sight_of_a_remote_that_the_file_has_no_longer(
    isthmus, provider, flow, file, home
):
    flow("up", build)
    isthmus("up", file)
    Path(file).write_text(FILE.format(name="silk-road").replace("shanghai", "delhi"))
    assert isthmus("up", file)[0] == 0
    assert (home / "environments/silk-road/leaving/shanghai.json").exists()


def test_a_remote_may_be_added_to_what_was_built(isthmus, provider, flow, file):
    flow("up", build)
    isthmus("up", file)
    text = FILE.format(name="silk-road").replace("}]", "}, {name: delhi}]")
    Path(file).write_text(text)
    assert isthmus("up", file)[0] == 0


def test_a_second_up_at_the_same_time_is_told_to_wait(isthmus, provider, flow, file):
    flow("up", build)
    with file_lock.acquire("silk-road"):
        code, _, err = isthmus("up", file)
    assert code == 75
    assert "silk-road is in use by" in err


def test_an_unknown_name_is_answered_with_the_known_ones(isthmus, file):
    environment_argument.save(load(Path(file)))
    code, _, err = isthmus("status", "silkroad")
    assert code == 64
    assert "built here: silk-road" in err


@pytest.mark.parametrize("path", ["nowhere.yaml", "nowhere.yml", "no/where", "../x.yaml"])
def test_what_looks_like_a_file_and_is_not_there_is_a_bad_environment(isthmus, path):
    code, _, err = isthmus("validate", path)
    assert code == 65
    assert f"{path}: no such file" in err


def test_a_name_cannot_leave_the_state_folder(isthmus):
    assert isthmus("status", "..")[0] == 64


@pytest.mark.parametrize("verb", ["status", "verify", "kubeconfig"])
def test_what_was_never_built_is_said_to_be_so(isthmus, file, verb):
    code, out, err = isthmus(verb, file)
    assert (code, out) == (79, "")
    assert "not built" in err and f"isthmus up {file}" in err


def test_verify_runs_on_what_was_built(isthmus, flow, file):
    environment_argument.save(load(Path(file)))
    flow("verify", lambda environment: verification())
    code, out, _ = isthmus("verify", "silk-road", "-o", "json")
    assert code == 0
    assert json.loads(out)["verdict"] == "pass"


def test_validate_touches_nothing(isthmus, file, home):
    code, out, err = isthmus("validate", file)
    assert code == 0
    assert out.startswith("silk-road: valid; beijing, shanghai")
    assert err == ""
    assert not home.exists()


def test_validate_with_json_says_nothing_on_stdout_about_a_bad_file(isthmus, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\n")
    code, out, err = isthmus("validate", bad, "-o", "json")
    assert (code, out) == (65, "")
    assert "bad.yaml" in err


def test_kubeconfig_prints_the_path_and_nothing_else(isthmus, file):
    environment_argument.save(load(Path(file)))
    path = state.folder("silk-road") / "kubeconfig"
    state.write_private(path, "")
    assert isthmus("kubeconfig", "silk-road") == (0, f"{path}\n", "")
    document = json.loads(isthmus("kubeconfig", "silk-road", "-o", "json")[1])
    assert document["contexts"] == ["beijing", "shanghai"]


def test_kubeconfig_of_a_half_built_environment_says_so(isthmus, file):
    environment_argument.save(load(Path(file)))
    code, out, err = isthmus("kubeconfig", "silk-road")
    assert (code, out) == (79, "")
    assert "not built" in err


def test_render_lists_the_files_that_it_wrote(isthmus, file, tmp_path, monkeypatch):
    fake = types.ModuleType("isthmus.plan")
    fake.find_istioctl = lambda environment: (None, "no such release file")
    fake.write = lambda environment, directory, istioctl: [directory / "beijing" / "host.yaml"]
    monkeypatch.setitem(sys.modules, "isthmus.plan", fake)
    monkeypatch.setattr("isthmus.plan", fake, raising=False)
    _, out, err = isthmus("render", file, "--to", tmp_path)
    assert out == f"{tmp_path}/beijing/host.yaml\n"
    assert "what istioctl makes is left out" in err and "no such release file" in err
    document = json.loads(isthmus("render", file, "--to", tmp_path, "-o", "json")[1])
    assert document["files"] == [f"{tmp_path}/beijing/host.yaml"]


def test_init_writes_a_file_that_is_valid_and_never_overwrites(isthmus, tmp_path):
    new = tmp_path / "new.yaml"
    code, out, err = isthmus("init", new)
    assert (code, out) == (0, f"{new}\n")
    assert f"isthmus up {new}" in err
    assert isthmus("validate", new)[0] == 0
    new.write_text("mine")
    assert isthmus("init", new)[0] == 64
    assert new.read_text() == "mine"


def test_init_in_a_folder_that_is_not_there_is_told_plainly(isthmus, tmp_path):
    code, _, err = isthmus("init", tmp_path / "no" / "new.yaml")
    assert code == 64
    assert "No such file" in err


def test_version_names_what_is_built(isthmus):
    document = json.loads(isthmus("version", "-o", "json")[1])
    assert document["kind"] == "Version"
    assert document["stacks"]["istio-1.31"]["istio"].startswith("1.31")
    assert "prefect" in isthmus("version")[1]


@pytest.mark.parametrize("text", ["10", "m", "1.5h", "10m ", "-1s", "0s", "ten"])
def test_a_duration_that_is_none_is_a_usage_error(isthmus, file, text):
    code, _, err = isthmus("up", file, f"--timeout={text}")
    assert code == 64
    assert "90s" in err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1h30m", 5400)]
)
def test_durations_are_read_as_people_write_them(
    isthmus, provider, file, monkeypatch, text, seconds
):
    from isthmus.cli import interruptible, run_flow

    asked = []
    monkeypatch.setattr(
        interruptible,
        "run",
        lambda work, timeout, begun=None: asked.append(timeout) or verification(),
    )
    assert run_flow.FLOWS["up"] == ("flows.build", "build")
    assert isthmus("up", file, "--timeout", text)[0] == 0
    assert set(asked) == {seconds}


def test_no_wait_starts_the_same_in_the_background(isthmus, provider, file, monkeypatch, home):
    from isthmus.adapters import processes

    started = []

    def again(arguments, log):
        started.append((arguments, log))
        return processes.Process(4711, 0)

    monkeypatch.setattr(processes, "start_cli", again)
    code, out, err = isthmus("up", file, "--no-wait", "--timeout", "10m")
    assert code == 0
    assert started == [(["up", "silk-road", "--timeout=600s"], home / "logs" / "up-silk-road.log")]
    assert "4711" in out and "isthmus status silk-road" in err
    assert state.environment_names() == ["silk-road"]
    document = json.loads(isthmus("up", file, "--no-wait", "-o", "json")[1])
    assert document["pid"] == 4711


def test_a_prefect_server_that_vanishes_is_no_internal_error(isthmus, provider, flow, file):
    gone = type("ConnectError", (Exception,), {"__module__": "httpx"})

    def lose(environment):
        raise gone("All connection attempts failed")

    flow("up", lose)
    code, _, err = isthmus("up", file)
    assert code == 69
    assert "the Prefect server stopped answering" in err
    assert "isthmus server status" in err


def test_a_bug_prints_one_line_and_keeps_its_traceback_for_the_owner(
    isthmus, provider, flow, file, home
):
    def stumble(environment):
        raise KeyError("spline")

    flow("up", stumble)
    code, _, err = isthmus("up", file)
    assert code == 1
    assert "internal error: KeyError: 'spline'" in err and "Traceback" not in err
    [log] = (home / "logs").glob("error-*.log")
    assert str(log) in err
    assert "in stumble" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_debugging_shows_the_traceback(isthmus, provider, flow, file, monkeypatch):
    monkeypatch.setenv("ISTHMUS_DEBUG", "1")
    flow("up", lambda environment: 1 / 0)
    assert "Traceback" in isthmus("up", file)[2]


def test_a_full_disk_is_no_internal_error(isthmus, provider, flow, file):
    def fill(environment):
        raise OSError(28, "No space left on device", "/somewhere")

    flow("up", fill)
    code, _, err = isthmus("up", file)
    assert code == 69
    assert "No space left on device" in err and "ISTHMUS_HOME" in err


def walk(command, path=("isthmus",)):
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


def known_flags():
    flags = {}
    for path, command in walk(group):
        options = [o for p in command.params for o in (*p.opts, *p.secondary_opts)]
        flags[" ".join(path)] = {*options, "--help", "-h"}
    return flags


def sources():
    package = Path(environment_argument.__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        yield path, path.read_text()


def test_every_command_named_in_a_hint_exists():
    verbs = {path[1] for path, _ in walk(group) if len(path) > 1}
    named = [
        (path.name, verb)
        for path, text in sources()
        for verb in re.findall(r"[:`(] ?isthmus (?:-\S+ )*([a-z]+) ?[\[{A-Z\"]", text)
    ]
    assert len(named) > 8
    assert [pair for pair in named if pair[1] not in verbs] == []


def test_every_flag_named_after_a_command_of_ours_exists():
    flags = known_flags()
    for path, text in sources():
        for verb, flag in re.findall(r"isthmus ((?:server )?[a-z]+)[^\n\"'`]*? (--[a-z-]+)", text):
            assert flag in flags[f"isthmus {verb}"], f"{path.name}: isthmus {verb} {flag}"


@pytest.mark.parametrize("path", [" ".join(path) for path, _ in walk(group)])
def test_every_command_has_help_and_names_no_flag_that_is_not_there(isthmus, path):
    code, out, _ = isthmus(*path.split()[1:], "--help")
    assert code == 0
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", out)) <= known_flags()[path]
    assert all(help_of(o) for o in dict(walk_by_name())[path].params)


def walk_by_name():
    return ((" ".join(path), command) for path, command in walk(group))


def help_of(parameter):
    return parameter.param_type_name == "argument" or parameter.help


@pytest.mark.parametrize("verb", [("render", "--to", "plan"), ("down",), ("up",)])
def test_what_is_accepted_without_a_checksum_is_said(
    isthmus, file, provider, monkeypatch, tmp_path, verb
):
    monkeypatch.chdir(tmp_path)
    asked = []
    pinned = {"istio/1.31.0/istio.tar.gz": "sha256:abc"}
    monkeypatch.setattr(
        binaries, "accept_checksums", lambda asking: asked.append(asking.name) or pinned
    )
    monkeypatch.setattr(plan, "write", lambda environment, directory, istioctl: [])
    monkeypatch.setattr(plan, "find_istioctl", lambda environment: (None, "not here"))
    monkeypatch.setattr(environment_argument, "save", lambda environment: None)
    monkeypatch.setattr(
        "isthmus.adapters.processes.start_cli", lambda *what: SimpleNamespace(pid=1)
    )
    background = [] if verb[0] == "render" else ["--no-wait"]
    code, _, err = isthmus(verb[0], file, *verb[1:], *background, "--accept-checksum")
    assert code == 0 and asked == ["silk-road"]
    assert "accepted: istio/1.31.0/istio.tar.gz sha256:abc" in err


def test_an_up_that_would_lack_a_program_is_refused_before_anything_is_changed(
    isthmus, file, provider, monkeypatch, home
):
    def refuse(environment):
        raise errors.Unprepared("istio.tar.gz: no checksum is known for it")

    monkeypatch.setattr(binaries, "check", refuse)
    code, _, err = isthmus("up", file)
    assert code == 69 and "no checksum is known" in err
    assert not home.exists()
