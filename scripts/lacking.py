"""Tell `make` what this machine lacks, with any Python and before anything is installed.

lacking.py packages       prints the Debian packages that are missing
lacking.py packages test  also those that only tests need
lacking.py rights         says what else is missing for two regions; exit 69 if there is anything
"""

import glob
import os
import sys
from pathlib import Path

# Appended, not put first: the lab's modules must not hide those of the standard library.
sys.path.append(str(Path(__file__).resolve().parents[1] / "isthmus/providers/lab"))
import host_requirements

REGIONS = 2
"""Clusters of deployments/lab.yaml."""
FOR_TESTS = {"/usr/bin/chromium": "chromium", "/usr/lib/postgresql/*/bin/initdb": "postgresql"}
"""Files, and the Debian packages that have them: a browser and a database for Prefect's server."""


def folder(variable: str, base: str, default: str) -> Path:
    """Return a folder of ours as isthmus.state does, which needs packages that may be missing."""
    own = os.environ.get(variable)
    return Path(own or Path(os.environ.get(base) or Path.home() / default) / "isthmus")


def lacks() -> list[host_requirements.MissingRequirement]:
    """Find what is missing besides packages; regions that exist have their room already."""
    home = folder("ISTHMUS_HOME", "XDG_DATA_HOME", ".local/share")
    cache = folder("ISTHMUS_CACHE", "XDG_CACHE_HOME", ".cache")
    new = max(0, REGIONS - len(list(home.glob("environments/*/regions/*"))))
    cold = not any(cache.glob("toolchain/*"))
    room = host_requirements.disk_shortages(home, cache, new, cold)
    programs = host_requirements.noexec("ISTHMUS_CACHE", cache)
    return [
        *host_requirements.missing_privileges(),
        *host_requirements.missing_kernel_features(home),
        *room,
        *programs,
        *host_requirements.memory_shortage(new),
    ]


def packages(tests: bool) -> list[str]:
    """Return the Debian packages that are missing for the lab, and for its tests."""
    for_tests = {package for file, package in FOR_TESTS.items() if not glob.glob(file)}
    return sorted({*host_requirements.missing_packages(), *(for_tests if tests else ())})


if __name__ == "__main__":
    if sys.argv[1] == "packages":
        print(*packages(tests="test" in sys.argv[2:]))
    elif found := lacks():
        print(*found, sep="\n", file=sys.stderr)
        sys.exit(69)
