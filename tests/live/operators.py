"""An operator: somebody with a home, a server and deployments of their own."""

import datetime
import shutil
from pathlib import Path

import yaml
from prefects import Runs

from isthmus import polling

ROOT = Path(__file__).parents[2]


class Operator:
    """Somebody with a home of their own, in which nothing is yet."""

    def __init__(self, isthmus, home: Path) -> None:
        self.isthmus = isthmus
        self.home = home
        self.url = ""
        self.asked: Runs
        self.run = ""

    @property
    def words(self) -> str:
        """What the pages ask for, from the file that `server start` names."""
        return (self.home / "server/auth").read_text().strip()

    def built(self) -> list[str]:
        """Return the names of the environments that are there."""
        return [file.parent.name for file in self.home.glob("environments/*/environment.yaml")]

    def runs(self) -> list[dict]:
        return self.asked.ask("/flow_runs/filter", {})

    def first_step(self, run: str) -> float:
        """Return when the first step of a run began; it is recorded a moment later."""
        return polling.until(lambda: self._began(run), "the first step", timeout=60)

    def steps(self) -> int:
        """Return how many steps the run took; the last are recorded a moment after its end."""
        return polling.until(self._ended, "the record of all steps", timeout=60)

    def _steps(self, run: str) -> list[dict]:
        return self.asked.ask("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})

    def _ended(self) -> int | None:
        steps = self._steps(self.run)
        return len(steps) if all(step["state_type"] == "COMPLETED" for step in steps) else None

    def _began(self, run: str) -> float | None:
        begun = [step["start_time"] for step in self._steps(run) if step["start_time"]]
        return datetime.datetime.fromisoformat(min(begun)).timestamp() if begun else None


def deployments(folder: Path) -> Path:
    """Copy what the project deploys, without its schedules: none may come due in a test."""
    for file in (ROOT / "deployments").glob("*.yaml"):
        shutil.copy(file, folder)
    path = folder / "prefect.yaml"
    content = yaml.safe_load(path.read_text())
    for deployment in content["deployments"]:
        deployment.pop("schedules", None)
    path.write_text(yaml.safe_dump(content))
    return path
