"""A worker and its runs as pods of one region, from the project's own files, and a pair beside."""

import base64
import os
import shutil
from pathlib import Path

import yaml
from live.bare import client, environment_of, everything, run_python
from prefects import Runs

from isthmus import polling
from isthmus.providers.lab.images import own

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deployments/kubernetes"
PAIR, WORKER = ["accra", "dakar"], "lagos"
POOL, SPACE = "isthmus-pods", "isthmus"
MOUNTED = Path("/etc/isthmus/kubeconfigs")
"""Where a run's pod finds the Secret with the kubeconfigs."""
CLAIM = "claim"
"""Folder of the worker's region that stands for a cloud's disk."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
MINUTES = 900.0
"""Seconds for a run, on a machine that may do much else beside it."""


class Shore:
    """The region of the worker, the pair, and the Prefect server on this machine."""

    def __init__(self, isthmus, clusters: dict[str, Path], runs: Runs) -> None:
        self.isthmus = isthmus
        self.pair = {name: clusters[name] for name in PAIR}
        self.worker = client(WORKER, clusters[WORKER])
        self.claim = clusters[WORKER].parent / CLAIM
        self.runs = runs
        self.before = everything(self.pair)

    @property
    def auth(self) -> str:
        return (self.isthmus.home / "server/auth").read_text().strip()

    def run(self, deployment: str) -> dict:
        """Begin a run as its page does, and return it at its end."""
        return self.until(self.begin(deployment), *ENDED)

    def begin(self, deployment: str) -> str:
        found = self.runs.ask(f"/deployments/name/{deployment}/{deployment}")["id"]
        return self.runs.ask(f"/deployments/{found}/create_flow_run", {})["id"]

    def until(self, run: str, *states: str) -> dict:
        def there() -> dict | None:
            now = self.runs.ask(f"/flow_runs/{run}")
            return now if now["state"]["type"] in states else None

        return polling.until(there, f"run {run} to be {states}", timeout=MINUTES, interval=0.5)

    def job_of(self, run: dict) -> str:
        space, _, job = run["infrastructure_pid"].partition(":")
        assert space == SPACE and self.worker.get("Job", job, SPACE, "batch/v1")
        return job

    def pods_of(self, job: str) -> list[dict]:
        pods = self.worker.objects("Pod", SPACE)
        return [p for p in pods if p["metadata"].get("labels", {}).get("job-name") == job]

    def root(self) -> str:
        """Return the root certificate that the claim holds."""
        return (self.claim / "environments/shores/ca/root-cert.pem").read_text()

    def live_roots(self) -> set[str]:
        """Return the root certificates that the pair's clusters have."""
        found = [client(*c).get("Secret", "cacerts", "istio-system") for c in self.pair.items()]
        return {base64.b64decode(s["data"]["root-cert.pem"]).decode() for s in found}


def load_image(isthmus, region: Path) -> None:
    script = (
        "from pathlib import Path; from isthmus.providers.lab.images import own\n"
        "from isthmus.providers.lab.tools import ensure_toolchain\n"
        f"own.load_into_region(Path({str(region)!r}), ensure_toolchain())\n"
    )
    run_python(isthmus, script)


def deploy(isthmus, folder: Path) -> None:
    """Deploy the project's own file to the pool of pods; only its environment is another."""
    in_pods = {name: MOUNTED / name for name in PAIR}
    environment_of(folder / "lab.yaml", "shores", in_pods, "kubefed")
    content = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())
    for deployment in content["deployments"]:
        deployment.pop("schedules", None)  # none may come due in a test
    (folder / "prefect.yaml").write_text(yaml.safe_dump(content))
    shutil.copy(ROOT / "deployments/automations.yaml", folder)
    template = (KUBERNETES / "base-job-template.json").read_text()
    (folder / "job.json").write_text(template.replace("isthmus:0.1.0", own.NAME))
    pods = ["--work-pool", POOL, "--job-template", folder / "job.json"]
    isthmus.run("deploy", folder / "prefect.yaml", *pods)
    found = isthmus.document("deploy", folder / "prefect.yaml", *pods)["changes"]
    [pool] = [c for c in found if c["kind"] == "work pool"]
    assert pool["done"] == "unchanged"


def worker(isthmus) -> list[dict]:
    """Return the worker's manifests, with what a person edits in them."""
    api = isthmus.run("server", "status")[0].split()[0] + "/api"
    text = (KUBERNETES / "worker.yaml").read_text()
    text = text.replace("isthmus:0.1.0", own.NAME).replace("http://prefect.example:4200/api", api)
    return list(yaml.safe_load_all(text))


def given(shore: Shore, clusters: dict[str, Path]) -> list[dict]:
    """Return what a person has made by hand: two Secrets, and here the disk behind the claim."""
    shore.claim.mkdir(mode=0o700)
    os.chown(shore.claim, int(own.USER), int(own.USER))
    kubeconfigs = {name: clusters[name].read_text() for name in PAIR}
    disk = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {"name": "isthmus-state", "namespace": SPACE},
        "hostPath": {"path": f"/run/region/{CLAIM}"},
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        secret("isthmus-prefect", {"auth-string": shore.auth}),
        secret("isthmus-kubeconfigs", kubeconfigs),
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": CLAIM},
            "spec": disk,
        },
    ]


def secret(name: str, content: dict[str, str]) -> dict:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
    where = {"name": name, "namespace": SPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": where, "data": data}
