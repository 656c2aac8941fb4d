"""Archives from elsewhere, unpacked as if somebody hostile had made them."""

import gzip
import posixpath
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from isthmus.errors import Unprepared

MOST_BYTES = 4_000_000_000
"""Of all that is in an archive; the largest known, Kubernetes' server, has 1.3 GB."""
MOST_MEMBERS = 50_000


def unpack(archive: Path, target: Path, root: str = "", members: Sequence[str] = ()) -> None:
    """Make `target` hold what the archive has below `root`, or only these `members` of it.

    One member that would lie or lead outside, or is a device, and the whole archive is refused:
    tarfile's `data` filter looks at all of them, also at those that are not wanted. Programs keep
    their x bit and lose setuid. Raises Unprepared, also for a broken archive.
    """
    size = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for count, member in enumerate(tar, 1):
                size += member.size
                if size > MOST_BYTES or count > MOST_MEMBERS:
                    raise _refused(archive, "more is in it than in any release")
                _look_at(archive, member, target)
                if name := _wanted(member.name, root, members):
                    _extract(archive, tar, member, name, target)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _refused(archive, str(error)) from error
    _have_all(archive, target, members)


def _look_at(archive: Path, member: tarfile.TarInfo, target: Path) -> None:
    # The filter would cut the slash off and go on; nobody honest writes one.
    if member.name.startswith("/"):
        raise _refused(archive, f"{member.name!r} has an absolute path")
    tarfile.data_filter(member, str(target))


def _wanted(path: str, root: str, members: Sequence[str]) -> str:
    """Return where a member goes below the target, empty if it is not wanted."""
    path = posixpath.normpath(path)
    name = path.removeprefix(f"{root}/") if root else path
    if root and name == path:
        return ""
    return name if not members or name in members else ""


def _extract(
    archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, target: Path
) -> None:
    if member.isdir():
        return
    # A link's target would be named as in the archive, not as here; releases have none.
    if not member.isreg():
        raise _refused(archive, f"{member.name!r} is no ordinary file")
    tar.extract(member.replace(name=name, deep=False), target, filter="data")


def _have_all(archive: Path, target: Path, members: Sequence[str]) -> None:
    lacking = [name for name in members if not (target / name).is_file()]
    if lacking or not any(target.iterdir()):
        raise _refused(archive, f"{', '.join(lacking) or 'what is wanted'} is not in it")


def _refused(archive: Path, why: str) -> Unprepared:
    return Unprepared(f"{archive.name} is not unpacked: {why}")
