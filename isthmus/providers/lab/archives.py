"""Which archives of images an environment's regions get, and whether any image is nowhere."""

import os
from pathlib import Path

from isthmus.environment import Environment, Images
from isthmus.errors import Unprepared
from isthmus.images import Archive, find, normalize_name, required_images
from isthmus.images.archives import KINDS
from isthmus.providers.lab.images import names
from isthmus.releases.fetching import MIRROR

LAB_IMAGES = {
    *(names.PAUSE, names.COREDNS, names.KUBEFED, names.CALLER, names.PILOT, names.PROXY),
    *map(names.helloworld, ("v1", "v2")),
}
"""Every image that the lab makes itself."""


def required_archives(environment: Environment, images: Images) -> list[Archive]:
    """Return the archives that the environment names, and those of the mirror that it needs.

    `images` are the lab's own. Raises Unprepared if an archive is broken, or if an image that a
    build runs is neither one that the lab makes nor in an archive.
    """
    named = _named(environment)
    lacking = [
        n
        for n in map(normalize_name, required_images(environment, images))
        if n not in {*LAB_IMAGES, *named}
    ]
    mirrored = find([place]) if lacking and (place := mirror()) else {}
    if missing := [name for name in lacking if name not in mirrored]:
        raise _nowhere(environment, missing)
    return list(dict.fromkeys([*named.values(), *(mirrored[name] for name in lacking)]))


def mirror() -> Path | None:
    """Return the mirror's folder of archives, if the mirror is a folder that has one."""
    folder = Path(os.environ.get(MIRROR, ""), "images").expanduser()
    return folder if os.environ.get(MIRROR) and folder.is_dir() else None


def _named(environment: Environment) -> dict[str, Archive]:
    found: dict[str, Archive] = {}
    for path in environment.images.archives or []:
        if not (inside := find([path])):
            raise Unprepared(f"{path}: contains no image archive", hint=f"put some there: {KINDS}")
        for name, archive in inside.items():
            found.setdefault(name, archive)
    return found


def _nowhere(environment: Environment, missing: list[str]) -> Unprepared:
    places = [str(path) for path in environment.images.archives or []]
    places.append(str(mirror() or f"the folder images of {MIRROR}, which does not exist"))
    listed = "".join(f"\n- {name}" for name in missing)
    return Unprepared(
        f"no archive has these images, and the lab does not make them:{listed}\n"
        f"searched: {', '.join(places)}",
        hint="save them (docker save -o FILE.tar IMAGE...), and name FILE.tar in `images.archives`",
    )
