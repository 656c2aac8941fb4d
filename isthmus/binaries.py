"""The command lines that steps run in clusters of any provider, and where each of them is found.

In this order: a folder that somebody names; the cache of release files; the lab's toolchain, if it
is there and of the wanted version (compiled if need be for a lab); the official release file.
"""

import os
from pathlib import Path

from isthmus import releases, stacks, state
from isthmus.environment import Environment
from isthmus.errors import Unprepared
from isthmus.providers.lab import host_requirements

TOOLS_VARIABLE = "ISTHMUS_TOOLS"
"""Names a folder that holds the programs and the chart, as an image of Isthmus does."""
PROGRAMS = ("istioctl", "helm", "kubefedctl")
CHART = "kubefed-chart"
LAB_COMPILED = ("helm", "kubefedctl", CHART)
"""What a lab takes from its toolchain for every stack: its KubeFed's image is of that version."""


def ensure(environment: Environment, name: str, *, accept: bool = False) -> Path:
    """Make a program, or KubeFed's chart, be here in the stack's version; return where it is.

    `accept` takes a release file's checksum where none is known. Raises Unprepared if the folder
    in ISTHMUS_TOOLS lacks something, or if it can neither be compiled nor fetched here.
    """
    if path := _find_local(environment, name):
        return path
    return _in(releases.ensure(stacks.load(environment.stack), name, accept=accept), name)


def accept_checksums(environment: Environment) -> dict[str, str]:
    """Make all be here that the environment needs; return the checksums accepted for that."""
    before = releases.accepted.load_checksums()
    for name in _needed_downloads(environment):
        ensure(environment, name, accept=True)
    return {k: v for k, v in releases.accepted.load_checksums().items() if k not in before}


def check(environment: Environment) -> None:
    """Raise Unprepared if something needed could only be had by accepting its checksum.

    Or if no program may run where they are kept.
    """
    _check_runnable(environment)
    for name in _needed_downloads(environment):
        if not _find_local(environment, name):
            releases.require_checksum(stacks.load(environment.stack), name)


def _check_runnable(environment: Environment) -> None:
    named = os.environ.get(TOOLS_VARIABLE)
    # A lab looks at the cache itself, beside all else that its machine must have.
    places = {} if environment.provider == "lab" else {"ISTHMUS_CACHE": state.cache()}
    for variable, folder in (
        {TOOLS_VARIABLE: Path(named).expanduser()} if named else places
    ).items():
        for lack in host_requirements.noexec(variable, folder):
            raise Unprepared(lack.problem, hint=lack.remedy)


def find_in_folder(folder: Path, name: str, elsewhere: tuple[str, ...] = ()) -> Path:
    """Return where a folder has it; raises Unprepared with everything that the folder lacks.

    What can be had `elsewhere` it may lack.
    """
    wanted = [program for program in PROGRAMS if program == name or program not in elsewhere]
    lacking = [program for program in wanted if not _is_program(folder / program)]
    is_wanted = name == CHART or CHART not in elsewhere
    if is_wanted and not (folder / CHART / "Chart.yaml").is_file():
        lacking.append(f"{CHART}/Chart.yaml")
    if lacking:
        raise Unprepared(
            f"{folder} ({TOOLS_VARIABLE}) lacks {', '.join(lacking)}",
            hint=f"put them there, or have them fetched or compiled: unset {TOOLS_VARIABLE}",
        )
    return folder / name


def _needed_downloads(environment: Environment) -> list[str]:
    """Return what the environment needs and no lab compiles for it."""
    needed = PROGRAMS[:1] if environment.federation == "direct" else (*PROGRAMS, CHART)
    return [name for name in needed if not _comes_compiled(environment, name)]


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _find_local(environment: Environment, name: str) -> Path | None:
    """Return where it is without fetching anything; a lab's toolchain is compiled for it."""
    if folder := _named(environment, name):
        return find_in_folder(folder, name, LAB_COMPILED if environment.provider == "lab" else ())
    if environment.provider == "lab" and name in LAB_COMPILED:
        return _compiled(environment, name)
    if found := releases.find_unpacked(stacks.load(environment.stack), name):
        return _in(found, name)
    return _compiled(environment, name)


def _named(environment: Environment, name: str) -> Path | None:
    """Return the folder in ISTHMUS_TOOLS if the program is to come from there."""
    if not (folder := os.environ.get(TOOLS_VARIABLE)):
        return None
    path = Path(folder).expanduser()
    has_own = environment.provider == "lab" and name in LAB_COMPILED
    return None if has_own and not (path / name).exists() else path


def _in(folder: Path, name: str) -> Path:
    return folder if name == CHART else folder / name


def _compiled(environment: Environment, name: str) -> Path | None:
    # Imported here: it asks for Go and for packages that only the lab needs.
    from isthmus.providers.lab import tools
    from isthmus.providers.lab.toolchain import compiling

    stack = stacks.load(environment.stack)
    theirs = stacks.load(compiling.STACK).versions
    part = stack.releases[name].part
    build = _comes_compiled(environment, name)
    if not build and getattr(theirs, part) != getattr(stack.versions, part):
        return None
    toolchain = tools.ensure_toolchain() if build else tools.find_toolchain()
    if not toolchain:
        return None
    return toolchain.share / CHART if name == CHART else toolchain.bin / name


def _comes_compiled(environment: Environment, name: str) -> bool:
    from isthmus.providers.lab.toolchain import compiling

    same = environment.stack == compiling.STACK or name in LAB_COMPILED
    return environment.provider == "lab" and same and not _named(environment, name)
