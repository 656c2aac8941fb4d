"""Official release files of a stack: fetched once, proven by checksum and version, unpacked safely.

Below the cache's folder `releases`: PART/VERSION/FILE while it is on its way, and what was
unpacked beside it. That an unpacked folder is there means that it was proven.
"""

import hashlib
import platform
import re
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from isthmus import events, polling, state
from isthmus.adapters import extract, shell
from isthmus.errors import Unprepared
from isthmus.releases import accepted, fetching
from isthmus.stacks import Stack
from isthmus.stacks.releases import Arch, ReleaseFile, resolved

ARCHES: dict[str, Arch] = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "amd64": "amd64",
    "arm64": "arm64",
}
LOCK_TIMEOUT = 1800.0
"""Seconds that another run may take to fetch and unpack the same file."""
ACCEPT = "--accept-checksum"


def ensure(stack: Stack, name: str, *, accept: bool = False) -> Path:
    """Make the release of that name be here, and return the folder with what is wanted of it.

    `accept` takes the checksum of what comes for a file whose stack knows none, and pins it.
    Raises Unprepared if it cannot be had or is not what it must be, NotReady if a server keeps
    breaking off.
    """
    file = _file(stack, name)
    if found := find_unpacked(stack, name):
        return found
    home = _home(file)
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / f"{file.name}.lock")
    polling.until(
        lambda: _taken(lock), f"another step or run to download {file.name}", timeout=LOCK_TIMEOUT
    )
    try:
        return find_unpacked(stack, name) or _prove(file, accept)
    finally:
        lock.release()


def find_unpacked(stack: Stack, name: str) -> Path | None:
    """Return the unpacked folder if it is here, without fetching or writing anything."""
    file = _find(stack, name)
    checksum = _checksum(file) if file else None
    folder = _unpacked(file, checksum) if file and checksum else None
    return folder if folder and folder.is_dir() else None


def require_checksum(stack: Stack, name: str) -> None:
    """Raise Unprepared if the release could only be had by accepting its checksum."""
    if not _checksum(file := _file(stack, name)):
        raise _unknown(file)


def _prove(file: ReleaseFile, accept: bool) -> Path:
    wanted = _checksum(file)
    if not wanted and not accept:
        raise _unknown(file)
    archive = _home(file) / file.name
    if not archive.exists():
        fetching.fetch_release(file, archive)
    found = _sum(archive, wanted.split(":")[0] if wanted else "sha256")
    if wanted and found != wanted:
        archive.unlink()
        raise _wrong(file, wanted, found)
    folder = _unpack(file, archive, found)
    if not wanted:
        accepted.remember(file.place, found)
        events.report_progress(f"{file.name}: accepted {found}")
    archive.unlink()
    return folder


def _unpack(file: ReleaseFile, archive: Path, checksum: str) -> Path:
    folder = _unpacked(file, checksum)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        extract.unpack(archive, part, file.root, file.members)
        for member in file.members:
            (part / member).chmod(0o755)
        _check_version(file, part)
    except Unprepared:
        shutil.rmtree(part)
        archive.unlink()
        raise
    part.rename(folder)
    return folder


def _check_version(file: ReleaseFile, folder: Path) -> None:
    """Raise Unprepared if the program tells another version than the wanted one."""
    if not file.check:
        return
    program, *args = file.check
    told = shell.run([folder / program, *args], timeout=60).strip()
    if not any(re.search(rf"(?<![\d.]){re.escape(v)}(?![\d.-])", told) for v in file.says):
        raise Unprepared(f"{file.name}: {program} reports {told!r}, not {file.version}")


def _find(stack: Stack, name: str) -> ReleaseFile | None:
    release = stack.releases.get(name)
    arch = ARCHES.get(platform.machine())
    if release is None or arch is None or arch not in release.checksums:
        return None
    return resolved(release, getattr(stack.versions, release.part), arch)


def _file(stack: Stack, name: str) -> ReleaseFile:
    if file := _find(stack, name):
        return file
    raise Unprepared(
        f"stack {stack.name} knows no release file of {name} for {platform.machine()}",
        hint="build it yourself and name its folder: ISTHMUS_TOOLS",
    )


def _checksum(file: ReleaseFile) -> str | None:
    return file.checksum or accepted.get_checksum(file.place)


def _home(file: ReleaseFile) -> Path:
    return (state.cache() / "releases" / file.place).parent


def _unpacked(file: ReleaseFile, checksum: str) -> Path:
    return _home(file) / f"{file.name.split('.t')[0]}-{checksum.split(':')[1][:16]}"


def _sum(path: Path, algorithm: str) -> str:
    with path.open("rb") as content:
        return f"{algorithm}:{hashlib.file_digest(content, algorithm).hexdigest()}"


def _taken(lock: FileLock) -> bool | None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        events.report_progress("another step or run fetches the same file; waiting for it")
        return None
    return True


def _unknown(file: ReleaseFile) -> Unprepared:
    return Unprepared(
        f"{file.name}: no checksum is known for it",
        hint=f"accept the one of what is fetched, once: the same command with {ACCEPT}; "
        "or name a folder that has the programs: ISTHMUS_TOOLS",
    )


def _wrong(file: ReleaseFile, wanted: str, found: str) -> Unprepared:
    pinned = "pinned by the stack" if file.checksum else f"accepted in {accepted.path()}"
    return Unprepared(
        f"{file.name}: checksum mismatch, the file was deleted: it has {found}, "
        f"{pinned} is {wanted}",
        hint="a proxy or mirror may have changed it: fetch again, or from elsewhere "
        f"({fetching.MIRROR})",
    )
