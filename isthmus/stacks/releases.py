"""Official release files, as a stack's file names them: where each is, and what it must be."""

import posixpath
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Component = Literal["istio", "kubefed", "kubernetes", "helm"]
Arch = Literal["amd64", "arm64"]
Checksum = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")]
"""Algorithm and sum, as the project itself publishes it."""


class StackModel(BaseModel):
    """Immutable, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Release(StackModel):
    """A release file and what is wanted of it; {version} and {arch} are filled in."""

    part: Component
    """Which of the stack's versions it is of."""
    url: str
    checksums: dict[Arch, Checksum | None]
    """By kind of processor; null where none could be obtained, none where there is no file."""
    root: str = ""
    """Folder inside the archive that is wanted; the others are not unpacked."""
    members: list[str] = []
    """Programs in `root` that are wanted; all of it if none is named."""
    check: str = ""
    """Command, below `root`, that tells the version."""
    says: list[str] = []
    """What it tells, if that is not the version."""


@dataclass(frozen=True)
class ReleaseFile:
    """One file of one version for one kind of processor."""

    part: str
    version: str
    arch: str
    url: str
    checksum: str | None
    root: str
    members: tuple[str, ...]
    check: tuple[str, ...]
    says: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the file is called."""
        return posixpath.basename(self.url)

    @property
    def place(self) -> str:
        """Where it lies below a cache or a mirror; names alone would collide among versions."""
        return f"{self.part}/{self.version}/{self.name}"


def resolved(release: Release, version: str, arch: Arch) -> ReleaseFile:
    """Return the file of that version and kind of processor."""
    filled = {"version": version, "arch": arch}
    return ReleaseFile(
        part=release.part,
        version=version,
        arch=arch,
        url=release.url.format(**filled),
        checksum=release.checksums[arch],
        root=release.root.format(**filled),
        members=tuple(release.members),
        check=tuple(release.check.split()),
        says=tuple(release.says) or (version,),
    )
