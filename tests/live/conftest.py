"""Real clusters for tests: one environment for all of them, in folders and addresses of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from live import wire
from live.files import write
from live.images import tiny
from live.machine import Machine

from isthmus import state
from isthmus.environment import load
from isthmus.errors import IsthmusError
from isthmus.providers.lab import preflight

CLUSTERS = {
    "host": {"name": "lisbon", "region": "eu-west", "network": "network1"},
    "remotes": [
        {"name": "nairobi", "region": "af-east", "network": "network2"},
        {"name": "osaka", "region": "ap-east", "network": "network3"},
    ],
}


ODD = {
    "HELM_DRIVER": "configmap",
    "HELM_KUBEAPISERVER": "https://127.0.0.1:9",
    "HELM_NAMESPACE": "elsewhere",
    "KUBECONFIG": "/nonexistent",
    "PREFECT_PROFILE": "somebody",
    "PREFECT_LOGGING_LEVEL": "LOUD",
}
"""What the shell of every live test says to programs; none of them must hear it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "live" in Path(item.fspath).parts:
            item.add_marker("live")


class Isthmus:
    """The command line as a person uses it, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {**os.environ, "ISTHMUS_HOME": str(home), "NO_COLOR": "1", **ODD}
        self.env.pop("PREFECT_API_URL", None)
        self.output = ""

    def start(self, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from isthmus.cli.main import main; main()"]
        return subprocess.Popen(
            [*command, *map(str, args)],
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *args: object, code: int = 0) -> tuple[str, str]:
        """Run to the end; return both streams. The exit code must be as said."""
        process = self.start(*args)
        out, err = process.communicate(timeout=1500)
        self.output += out + err
        assert process.returncode == code, f"isthmus {args}: {process.returncode}\n{out}\n{err}"
        return out, err

    def document(self, *args: object, code: int = 0) -> dict:
        return json.loads(self.run(*args, "-o", "json", code=code)[0])


class Mesh:
    """The environment that tests share, and kubectl's view of it."""

    def __init__(self, isthmus: Isthmus, file: Path) -> None:
        self.isthmus = isthmus
        self.file = file
        self.environment = load(file)
        self.name = self.environment.name
        self.folder = isthmus.home / "environments" / self.name
        self.first: dict = {}

    def kubectl_command(self, cluster: str, *args: str) -> list[str]:
        from isthmus.providers.lab.tools import ensure_toolchain

        where = [f"--kubeconfig={self.folder / 'kubeconfig'}", f"--context={cluster}"]
        return [str(ensure_toolchain().bin / "kubectl"), *where, *args]

    def kubectl(self, cluster: str, *args: str) -> str:
        command = self.kubectl_command(cluster, *args)
        done = subprocess.run(command, check=True, text=True, capture_output=True, timeout=120)
        return done.stdout


@pytest.fixture(scope="session")
def lab_possible(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where the lab cannot run, and say why; with CI=true that is a failure."""
    path = write(tmp_path_factory.mktemp("check") / "check.yaml", name="check", **CLUSTERS)
    try:
        preflight.check_machine(load(path))
    except IsthmusError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the lab cannot run here: {error}")
        pytest.skip(f"the lab cannot run here: {error}")


@pytest.fixture(scope="session")
def isthmus(lab_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isthmus]:
    # Beside the images, so that regions share them by hard links as a person's do.
    state.cache().mkdir(parents=True, exist_ok=True)
    for old in state.cache().glob("test-home-*"):
        clear_away(old)
    home = state.cache() / f"test-home-{os.getpid()}"
    home.mkdir(mode=0o700)
    cli = Isthmus(home)
    yield cli
    cli.run("server", "stop")
    subprocess.run(["rm", "-rf", str(home)], check=True)


def clear_away(home: Path) -> None:
    """Leave nothing of tests that were killed: their regions' namespaces outlive them."""
    with FileLock(state.cache() / "test-home.lock"):  # others may begin at the same moment
        if not home.exists() or Path(f"/proc/{home.name.rpartition('-')[2]}").exists():
            return
        ended = Isthmus(home)
        for environment in home.glob("environments/*/environment.yaml"):
            # Its server may listen at the very lab that goes, and then cannot record the end of it.
            ended.start("down", environment.parent.name).communicate(timeout=300)
        ended.start("server", "stop", "--now").communicate(timeout=120)
        subprocess.run(["rm", "-rf", str(home)], check=True)


@pytest.fixture(scope="session")
def machine(lab_possible: None) -> Machine:
    """This machine as it was before the first region."""
    return Machine()


@pytest.fixture(scope="session")
def outside(lab_possible: None) -> Iterator[wire.Listener]:
    """All that leaves or enters this machine while regions live."""
    with wire.listening() as listener:
        yield listener


@pytest.fixture(scope="session")
def mesh(
    isthmus: Isthmus,
    machine: Machine,
    outside: wire.Listener,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    """A mesh of three regions, built once by `isthmus up`; what it leaves behind is counted."""
    folder = tmp_path_factory.mktemp("mesh")
    archives = {"archives": str(tiny(folder / "tiny.tar.gz"))}
    file = write(folder / "mesh.yaml", name="three-seas", images=archives, **CLUSTERS)
    built = Mesh(isthmus, file)
    built.first = isthmus.document("up", file)
    yield built
    isthmus.run("down", built.name)
    assert machine.left_of(isthmus.home / "environments") == []
