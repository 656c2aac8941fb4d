"""What programs see of the operator's shell: what Isthmus gives them, and nothing else."""

import json
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from isthmus.adapters import golang, helm, kubefedctl, prefect_settings, shell, subprocess_env
from isthmus.errors import Unprepared
from isthmus.providers.lab import region
from isthmus.step_results import Access

LEAKS = {
    "HELM_DRIVER": "configmap",
    "HELM_KUBEAPISERVER": "https://elsewhere",
    "HELM_KUBETOKEN": "secret",
    "HELM_NAMESPACE": "elsewhere",
    "HELM_DATA_HOME": "/elsewhere",
    "KUBECONFIG": "/elsewhere",
    "KUBERNETES_SERVICE_HOST": "elsewhere",
    "ISTIONAMESPACE": "elsewhere",
    "ISTIOCTL_CERT_DIR": "elsewhere",
    "PREFECT_API_KEY": "secret",
    "PYTHONPATH": "/elsewhere",
    "PYTHONHOME": "/elsewhere",
    "LD_PRELOAD": "/elsewhere.so",
    "GODEBUG": "http2client=0",
    "GOFLAGS": "-race",
    "BASH_ENV": "/elsewhere",
    "BASH_FUNC_ls%%": "() { false; }",
    "GIT_DIR": "/elsewhere",
    "LC_ALL": "xx_YY",
    "LANGUAGE": "zh",
    "PIP_TARGET": "/elsewhere",
    "PIP_USER": "1",
    "ISTHMUS_DATABASE_URL": "postgresql://secret",
}
LOGIN = "users: [{name: one, user: {exec: {command: aws}}}]"
TOKEN = "users: [{name: one, user: {token: x}}]"


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in {**LEAKS, "AWS_PROFILE": "one", "ELSE": "x"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Return a function that tells what a program sees that a call of ours runs."""

    def ask(call):
        program = tmp_path / "program"
        program.write_text(
            f"#!{sys.executable}\nimport json, os, pathlib\n"
            f"pathlib.Path({str(tmp_path / 'seen')!r}).write_text(json.dumps(dict(os.environ)))\n"
        )
        program.chmod(0o755)
        call(program)
        return json.loads((tmp_path / "seen").read_text())

    return ask


def access(tmp_path, text):
    (tmp_path / "kubeconfig").write_text(text)
    return Access(cluster="one", kubeconfig=tmp_path / "kubeconfig", context="one")


def calls(where):
    return {
        "a program": lambda program: shell.run([program]),
        "a question": lambda program: shell.succeeds([program]),
        "helm": lambda program: helm.uninstall(program, where, "kubefed", "system"),
        "kubefedctl": lambda program: kubefedctl.join(program, where, where),
    }


@pytest.mark.parametrize("kubeconfig", [TOKEN, LOGIN])
@pytest.mark.parametrize("name", ["a program", "a question", "helm", "kubefedctl"])
def test_a_program_sees_none_of_its_own_variables_of_the_shell(seen, tmp_path, kubeconfig, name):
    found = seen(calls(access(tmp_path, kubeconfig))[name])
    for leak, value in LEAKS.items():
        assert found.get(leak) != value, leak
    assert (found["LANG"], found["LC_ALL"]) == ("C.UTF-8", "C.UTF-8")
    assert found["HOME"] == str(tmp_path)
    assert "/usr/sbin" in found["PATH"].split(":")
    assert "198.18.0.0/15" in found["NO_PROXY"].split(",")


@pytest.mark.parametrize("name", ["helm", "kubefedctl"])
def test_no_program_needs_a_login_plugin_since_it_asks_through_us(seen, tmp_path, name):
    found = seen(calls(access(tmp_path, LOGIN))[name])
    assert "AWS_PROFILE" not in found and "ELSE" not in found


def test_helm_keeps_its_own_files_with_ours(seen, tmp_path):
    found = seen(calls(access(tmp_path, TOKEN))["helm"])
    assert found["HELM_DATA_HOME"] == str(tmp_path / "cache/helm/data")
    assert found["HELM_CACHE_HOME"] == str(tmp_path / "cache/helm/cache")


def test_a_region_outlives_the_shell_and_knows_nothing_of_it(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert set(subprocess_env.for_region()) == {"PATH", "LANG", "LC_ALL", "TMPDIR", "HOME"}
    assert "subprocess_env.for_region()" in Path(region.__file__).read_text()


def test_go_and_pip_are_told_where_things_come_from_and_nothing_of_what_to_make(monkeypatch):
    kept = {"GOPROXY": "https://one", "GONOSUMDB": "*", "GIT_SSH_COMMAND": "ssh -x"}
    index = {"PIP_INDEX_URL": "https://one", "PIP_CERT": "/ca.pem", "PIP_FIND_LINKS": "/links"}
    for name, value in {**kept, **index, "CGO_ENABLED": "1", "GOOS": "plan9"}.items():
        monkeypatch.setenv(name, value)
    go, pip = golang.environment(), golang.packages_environment()
    assert {k: go[k] for k in kept} == kept and {k: pip[k] for k in index} == index
    assert (go["CGO_ENABLED"], "GOOS" in go, go["GOFLAGS"]) == ("0", False, "-mod=readonly")
    assert "PIP_USER" not in pip and "PIP_TARGET" not in pip and "PYTHONPATH" not in {**go, **pip}


def test_runs_of_the_worker_have_the_persons_keys_and_a_clean_python(tmp_path):
    found = prefect_settings.worker(tmp_path, "http://127.0.0.1:4200/api")
    assert found["AWS_PROFILE"] == "one"
    assert not [name for name in found if name.startswith(("PYTHONPATH", "PYTHONHOME", "LD_PRE"))]
    assert (found["LC_ALL"], found["PYTHONUTF8"]) == ("C.UTF-8", "1")
    assert "ISTHMUS_DATABASE_URL" not in found and "PREFECT_API_KEY" not in found


@pytest.mark.parametrize("named", ["", "absent", "read-only", "a file"])
def test_programs_have_a_home_that_can_be_written_to(monkeypatch, tmp_path, named):
    (tmp_path / "a file").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "read-only")
    (tmp_path / "read-only").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / named) if named else "")
    monkeypatch.setattr(subprocess_env.pwd, "getpwuid", unknown)
    home = subprocess_env.home()
    assert home == tmp_path / "cache/home"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def unknown(uid):
    raise KeyError(uid)


def test_a_folder_for_temporary_files_that_is_full_or_missing_is_passed_over(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    assert os.path.isdir(subprocess_env.for_program()["TMPDIR"])


def test_without_any_folder_for_temporary_files_the_variable_is_told(monkeypatch):
    def full():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", full)
    with pytest.raises(Unprepared, match="No usable temporary directory") as caught:
        subprocess_env.for_program()
    assert "TMPDIR=" in caught.value.hint
