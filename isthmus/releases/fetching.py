"""A release file brought here: from the mirror if there is one, else from its official address."""

import os
import re
import shutil
from pathlib import Path

from isthmus import events
from isthmus.adapters import download
from isthmus.errors import Unprepared
from isthmus.stacks.releases import ReleaseFile

MIRROR = "ISTHMUS_MIRROR"
"""Names a folder or a URL that is asked instead of every official address."""


def fetch_release(file: ReleaseFile, target: Path) -> None:
    """Make `target` hold the file; it is not looked at yet.

    Raises Unprepared, with what to put where, if it cannot be had; NotReady if the server keeps
    breaking off.
    """
    mirror = os.environ.get(MIRROR, "")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not mirror:
            found = download.fetch(file.url, target)
        elif re.match(r"https?://", mirror):
            # By its place first: Kubernetes calls the files of all versions alike.
            base = mirror.rstrip("/")
            found = any(download.fetch(f"{base}/{name}", target) for name in _names(file))
        else:
            found = _copied(Path(mirror).expanduser(), file, target)
    except Unprepared as error:
        raise Unprepared(f"cannot be fetched: {error.message}", hint=_hint(file, target)) from error
    if not found:
        raise Unprepared(f"{file.name} is not at {_tried(file)}", hint=_hint(file, target))


def _copied(mirror: Path, file: ReleaseFile, target: Path) -> bool:
    for source in (mirror / name for name in _names(file)):
        if source.is_file():
            events.report_progress(f"copying {source}")
            part = target.with_name(f"{target.name}.part")
            shutil.copyfile(source, part)
            part.replace(target)
            return True
    return False


def _names(file: ReleaseFile) -> tuple[str, str]:
    return file.place, file.name


def _tried(file: ReleaseFile) -> str:
    mirror = os.environ.get(MIRROR, "")
    if not mirror:
        return file.url
    shown = re.sub(r"//[^/@]*@", "//", mirror).rstrip("/")
    return " or ".join(f"{shown}/{name}" for name in _names(file))


def _hint(file: ReleaseFile, target: Path) -> str:
    return (
        f"get {file.name} from {file.url} and put it at {target}, or at {file.place} below a "
        f"folder or URL that {MIRROR} names; behind a proxy set HTTPS_PROXY"
    )
