"""The command line on whatever ground it is put: streams, locale, umask, folders, variables."""

import os
import pty
import shutil
import stat
import subprocess
import sys

import pytest

FILE = "# 北京 Zürich\nname: silk-road\nhost: {name: beijing}\nremotes: [{name: shanghai}]\n"
SAYS_ALL = """
import sys, types
from contextlib import nullcontext
from isthmus import errors, providers
from isthmus.cli import prefect_setup, main
prefect_setup.server_context = lambda tag: nullcontext()
providers.get_provider = lambda environment: types.SimpleNamespace(check=lambda environment: None)
fake = types.ModuleType("flows.build")
def build(environment, if_busy):
    raise errors.Rejected("\\u5317\\u4eac is not Z\\xfcrich")
fake.build = build
sys.modules["flows.build"] = fake
main.main()
"""
LEFT_OUT = ("PREFECT_", "ISTHMUS_", "LC_", "LANG", "COLUMNS", "PYTHONUTF8", "PYTHONIOENCODING")


@pytest.fixture
def ground(tmp_path):
    """Return a function that runs the command line on some ground, and what it is."""
    (tmp_path / "env.yaml").write_text(FILE, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(LEFT_OUT)}
    base = {**kept, "ISTHMUS_HOME": str(tmp_path / "home")}

    def run(*arguments, code="from isthmus.cli.main import main; main()", before="", **variables):
        command = [sys.executable, "-c", code, *arguments]
        if before:
            command = ["/bin/sh", "-c", f'{before}; exec "$@"', "sh", *command]
        told = {**base, **variables}
        return subprocess.run(
            command,
            env={k: v for k, v in told.items() if v is not None},
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
        )

    return run


GROUNDS = {
    "nothing odd": {},
    "standard input closed": {"before": "exec <&-"},
    "standard error closed": {"before": "exec 2>&-"},
    "no HOME": {"HOME": None},
    "an empty HOME": {"HOME": ""},
    "a HOME that is not there": {"HOME": "/nonexistent"},
    "no folder for temporary files": {"TMPDIR": "/nonexistent"},
    "odd XDG folders": {"XDG_DATA_HOME": "somewhere", "XDG_CACHE_HOME": ""},
    "a terminal of no kind": {"TERM": "dumb", "COLUMNS": "0", "LINES": "-1"},
    "the C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "the POSIX locale": {"LC_ALL": "POSIX"},
    "a locale that is not there": {"LC_ALL": "xx_YY.ISO-8859-1", "LANG": "xx"},
    "no rights for anybody": {"before": "umask 777"},
    "all rights for everybody": {"before": "umask 000"},
    "few files that may be open": {"before": "ulimit -n 64"},
    "warnings that are errors": {"PYTHONWARNINGS": "error"},
    "a PATH without the system's folders": {"PATH": "/nonexistent"},
    "a folder that is gone": {"before": 'mkdir gone && cd gone && rmdir "$PWD"'},
    "a SOCKS proxy": {"ALL_PROXY": "socks://127.0.0.1:9", "no_proxy": "fe80::/10"},
    "a proxy that is none": {"HTTPS_PROXY": "ftp://[", "NO_PROXY": "[::1],http://x"},
}


@pytest.mark.parametrize("name", GROUNDS)
def test_a_file_is_read_wherever_one_stands(ground, tmp_path, name):
    done = ground("validate", str(tmp_path / "env.yaml"), **GROUNDS[name])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"silk-road: valid")
    assert done.stderr == b""


@pytest.mark.parametrize("name", sorted(set(GROUNDS) - {"standard error closed"}))
def test_a_run_ends_as_ever_and_says_so_wherever_one_stands(ground, tmp_path, name):
    done = ground("up", str(tmp_path / "env.yaml"), code=SAYS_ALL, **GROUNDS[name])
    assert done.returncode == 1, done.stderr
    assert b"is not Z" in done.stderr and b"Traceback" not in done.stderr
    assert list((tmp_path / "home").glob("environments/silk-road/runs/*.json"))


@pytest.mark.parametrize("umask", ["000", "027", "077", "777"])
def test_what_is_kept_is_its_owners_whatever_the_umask(ground, tmp_path, umask):
    ground("up", str(tmp_path / "env.yaml"), code=SAYS_ALL, before=f"umask {umask}")
    kept = [tmp_path / "home", *(tmp_path / "home").rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in kept}
    assert not [path for path, mode in modes.items() if mode & 0o022]
    assert not [path for path, mode in modes.items() if mode & 0o600 != 0o600]


@pytest.mark.skipif(not shutil.which("localedef"), reason="no localedef to make a locale with")
def test_a_locale_of_another_encoding_shows_its_own_letters_and_reads_utf8(ground, tmp_path):
    made = tmp_path / "de_DE.ISO-8859-1"
    done = subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(made)])
    if done.returncode:
        pytest.skip("no sources to make a locale from")
    variables = {"LC_ALL": "de_DE.ISO-8859-1", "LOCPATH": str(tmp_path)}
    done = ground("up", str(tmp_path / "env.yaml"), code=SAYS_ALL, **variables)
    assert done.returncode == 1
    assert "Zürich".encode("latin-1") in done.stderr and rb"\u5317" in done.stderr


def test_with_nothing_to_keep_things_in_the_variable_is_told(ground, tmp_path):
    (tmp_path / "file").touch()
    for home in (str(tmp_path / "file"), "/proc"):
        done = ground("up", "env.yaml", code=SAYS_ALL, ISTHMUS_HOME=f"{home}/home")
        assert done.returncode == 69
        assert b"ISTHMUS_HOME" in done.stderr and b"Traceback" not in done.stderr


def test_a_folder_that_is_named_from_one_that_is_gone_is_told(ground, tmp_path):
    gone = 'mkdir gone && cd gone && rmdir "$PWD"'
    path = str(tmp_path / "env.yaml")
    assert ground("version", before=gone, ISTHMUS_HOME="home").returncode == 0
    done = ground("up", path, code=SAYS_ALL, before=gone, ISTHMUS_HOME="home")
    assert done.returncode == 69
    assert b"ISTHMUS_HOME=" in done.stderr and b"Traceback" not in done.stderr


def test_a_folder_named_from_where_one_stands_is_there_for_whoever_stands_elsewhere(
    ground, tmp_path
):
    code = (
        "from isthmus.cli.process_setup import prepare_process; prepare_process(); "
        "import os; print(os.environ)"
    )
    done = ground(code=code, ISTHMUS_HOME="home", ISTHMUS_CACHE="~/c", HOME="/h", SSL_CERT_FILE="x")
    said = done.stdout.decode()
    assert f"'ISTHMUS_HOME': '{tmp_path}/home'" in said
    assert "'SSL_CERT_FILE': 'x'" in said and "~/c" in said


def test_a_terminal_that_says_it_has_no_columns_shows_what_is_there(tmp_path):
    (tmp_path / "env.yaml").write_text(FILE, encoding="utf-8")
    told = {**os.environ, "COLUMNS": "0", "TERM": "xterm", "ISTHMUS_HOME": str(tmp_path / "home")}
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable, [sys.executable, "-c", SAYS_ALL, "up", f"{tmp_path}/env.yaml"], told
        )
    shown = b""
    while chunk := _read(fd):
        shown += chunk
    os.waitpid(pid, 0)
    assert b"is not Z" in shown


def _read(fd):
    try:
        return os.read(fd, 65536)
    except OSError:  # the other end has left
        return b""


def test_a_deployment_file_that_is_not_there_is_told_before_a_server_is_started(ground, tmp_path):
    done = ground("deploy")
    assert done.returncode == 65
    assert b"isthmus deploy FILE" in done.stderr
    assert not (tmp_path / "home").exists()
