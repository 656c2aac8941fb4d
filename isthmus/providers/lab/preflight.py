"""Whether this machine can carry the environment's regions, told before anything is changed."""

import importlib.util
import sys
from pathlib import Path

from isthmus import events, state
from isthmus.adapters import golang
from isthmus.environment import Environment
from isthmus.errors import Unprepared
from isthmus.providers.lab import host_requirements, inotify, tools
from isthmus.providers.lab.host_requirements import MissingRequirement
from isthmus.providers.lab.toolchain import compiling


def check_machine(environment: Environment) -> None:
    """Raise Unprepared with everything that is missing here, each with what to do about it."""
    home, cache = state.home(), state.cache()
    new = _new_regions(environment)
    known = tools.find_toolchain() is not None
    lacks = [
        *host_requirements.missing_privileges(),
        *host_requirements.missing_programs(),
        *host_requirements.missing_kernel_features(home),
        *host_requirements.disk_shortages(
            home, cache, new, cold=not known and not tools.is_build_started()
        ),
        *host_requirements.noexec("ISTHMUS_CACHE", cache),
        *host_requirements.noexec("", Path(sys.prefix)),  # etcd and Envoy lie there
        *host_requirements.memory_shortage(new),
        *inotify.inotify_shortage(new),
        *([] if known else _go()),
    ]
    if lacks:
        raise _unprepared(environment, lacks)
    if host_requirements.device(home) != host_requirements.device(cache):
        events.report_progress(
            f"{home} and {cache} are on two disks: every region gets copies of the images"
        )


def _new_regions(environment: Environment) -> int:
    """Count the regions that are yet to be made: those that exist have their room already."""
    regions = state.folder(environment.name) / "regions"
    return sum(not (regions / cluster.name).exists() for cluster in environment.clusters)


def _go() -> list[MissingRequirement]:
    installed: Path = compiling.installed_go()
    if golang.find(installed) or importlib.util.find_spec("pip"):
        return []
    seen = golang.describe_found(installed)
    return [
        MissingRequirement(f"no Go {golang.dotted()} ({seen}), and no pip to get one", golang.HINT)
    ]


def _unprepared(environment: Environment, lacks: list[MissingRequirement]) -> Unprepared:
    count = len(environment.clusters)
    listed = "\n".join(map(str, lacks))
    return Unprepared(
        f"this machine cannot run {count} regions yet; nothing was changed:\n{listed}",
        hint=f"then again: isthmus up {environment.name}",
    )
