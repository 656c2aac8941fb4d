"""The key `timeouts`: each limit that a file may set is one that something really waits for."""

import ast
import re
import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest
import refusing
from fakes import limited

from isthmus.adapters import connectivity, kube
from isthmus.environment import Timeouts
from isthmus.errors import ClusterUnreachable
from isthmus.step_results import Access

ROOT = Path(__file__).parents[2]
SOURCES = "\n".join(
    path.read_text()
    for part in ("isthmus", "tasks", "flows")
    for path in (ROOT / part).rglob("*.py")
)


@pytest.mark.parametrize("key", Timeouts.model_fields)
def test_every_limit_that_a_file_may_set_is_one_that_something_asks_for(key):
    assert re.search(rf"\b(limits|timeouts\(\))\.{key}\b", SOURCES), (
        f"timeouts.{key} changes nothing"
    )


@pytest.fixture
def silent(folders):
    """Return how to reach what takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield refusing.access(server.getsockname()[1], folders / "config", "beijing")


def test_a_request_takes_no_longer_than_its_limit(silent):
    begun = time.monotonic()
    with limited(request=0.2, retry=0), pytest.raises(ClusterUnreachable, match="timed out"):
        kube.Kube(silent).version()
    with limited(request=0.2), pytest.raises(ClusterUnreachable, match=r"within 0\.2 s"):
        connectivity.get_server_version(kube.Kube(silent))
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_server_that_refuses_is_asked_for_as_long_as_the_file_says(folders, seconds):
    with refusing.serving() as server:
        server.answers = [503] * 99
        access: Access = refusing.access(server.server_port, folders / "config", "beijing")
        with limited(retry=seconds), pytest.raises(ClusterUnreachable, match="503"):
            kube.Kube(access).version()
        assert (len(server.asked) > 1) is bool(seconds)


BESIDE = {
    "how often is looked, said or tried": """
        adapters/api_server.RETRY_INTERVAL adapters/download.INTERVAL
        adapters/debounce.CHECK_INTERVAL adapters/helm_post_renderer.PERIOD
        adapters/prune.PROGRESS_AFTER_SECONDS adapters/replicaset_backoff.PAUSE
        providers/kce/api.THROTTLE_RETRY_INTERVAL providers/kce/create.POLL_INTERVAL
        tasks/traffic.POLL_INTERVAL tasks/artifacts.PROGRESS_INTERVAL
        flows/heartbeat.CANCEL_POLL_INTERVAL flows/heartbeat.HEARTBEAT_INTERVAL""",
    "how long this machine's own programs take": """
        adapters/processes.KILL_TIMEOUT adapters/supervisord.HALT_TIMEOUT
        providers/kind/cloud_provider.LOAD_BALANCER_TIMEOUT
        providers/lab/cgroups.REMOVAL_TIMEOUT providers/lab/closed_port.WAIT_SECONDS
        providers/lab/images/loading.IMPORT_TIMEOUT
        cli/preflight.PROBE_CLEANUP_SECONDS flows/step_runner.STOP_GRACE_SECONDS
        releases/__init__.LOCK_TIMEOUT""",
    "Prefect: its server on this machine, its worker, leases and heartbeats": """
        adapters/prefect_api.REACH_TIMEOUT adapters/prefect_api.SHORT_REQUEST_TIMEOUT
        adapters/prefect_database.CONNECT_TIMEOUT
        adapters/prefect_program.SERVER_WAIT_SECONDS
        adapters/prefect_record.PORT_WAIT_SECONDS adapters/prefect_runs.TERMINATE_SECONDS
        adapters/prefect_runs.REPORT_TIMEOUT adapters/prefect_start.START_TIMEOUT
        adapters/prefect_supervisor.START_TIMEOUT adapters/prefect_supervisor.STOP_GRACE
        cli/prefect_client.CANCEL_TIMEOUT flows/concurrency_limit.LEASE_SECONDS
        flows/concurrency_limit.SERVER_OUTAGE_TIMEOUT
        flows/concurrency_limit.UNKNOWN_RUN_STOP_SECONDS
        flows/heartbeat.WORKER_CANCEL_TIMEOUT flows/environment_lock.LOCK_TIMEOUT
        tasks/artifacts.PUBLISH_TIMEOUT tasks/artifacts.FINAL_PUBLISH_TIMEOUT""",
    "how long something must be so until it is believed, or may be old": """
        adapters/debounce.DEBOUNCE_SECONDS adapters/kubefed.WATCH_START_SECONDS
        adapters/kube_client.STALE_FOLDER_SECONDS
        adapters/load_balancer_failures.RECENT_EVENT_SECONDS
        cli/status_history.LONGEST_GAP adapters/pod_exec.SLOW_DIAL_SECONDS
        verification/service_probe.HOLD_SECONDS""",
    "how long a look at a mesh takes: a slow answer is a finding": """
        collectors/admission.PATIENT_SECONDS collectors/paths.LIMIT collectors/questions.CONNECT
        collectors/questions.EXEC collectors/questions.REQUEST collectors/questions.RETRY
        flows/verify.EVIDENCE_SECONDS polling.LAST_SECONDS tasks/diagnosis.SECONDS""",
    "from when on a check calls something old, settled or near its end": """
        diagnosis/analyzers/certificate_expiry.LAST_SHARE
        diagnosis/analyzers/certificate_expiry.SHARE diagnosis/analyzers/certificate_expiry.SKEW
        diagnosis/analyzers/controllers.PATIENCE diagnosis/analyzers/controllers.STALE
        diagnosis/analyzers/deletions.HELD_PATIENCE diagnosis/analyzers/deletions.PATIENCE
        diagnosis/analyzers/endpoint_tables.SETTLED diagnosis/analyzers/gateways.BEING_MADE
        diagnosis/analyzers/istiods.DEFAULT_TIMEOUT diagnosis/analyzers/istiods.START
        diagnosis/analyzers/mesh_identity.SETTLED diagnosis/analyzers/names.NEGATIVE_CACHE
        diagnosis/analyzers/proxy_containers.START diagnosis/expected_endpoints.SETTLED
        diagnosis/known_addresses.SETTLED diagnosis/registry.GATEWAY_PORT
        diagnosis/registry.HBONE_PORT diagnosis/registry.SETTLED diagnosis/signers.SETTLED
        diagnosis/times.DAY diagnosis/times.HOUR diagnosis/times.MINUTE""",
    "how much of its time a verification spends on a second look": """
        tasks/traffic.RECHECK_TIME_LIMIT""",
    "a key of the file has more to say: verification.timeout": """
        tasks/traffic.ROUND_REQUEST_TIMEOUT""",
    "no seconds": "verification/shares.Z",
}
"""What stands beside the object, and why no file may set it."""


def durations():
    """Give MODULE.NAME of each constant that is a float, or whose docstring speaks of seconds."""
    for part in ("isthmus", "tasks", "flows"):
        for path in (ROOT / part).rglob("*.py"):
            module = path.relative_to(ROOT).with_suffix("").as_posix().removeprefix("isthmus/")
            body = [*ast.parse(path.read_text()).body, ast.Pass()]
            for node, after in pairwise(body):
                for name, value in constants(node):
                    told = isinstance(after, ast.Expr) and "econds" in ast.unparse(after)
                    if isinstance(value, float) or told:
                        yield f"{module}.{name}"


def constants(node):
    """Return the numbers that a statement of a module gives names in capitals, with these."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return []
    names, values = node.targets[0] if isinstance(node, ast.Assign) else node.target, node.value
    several = isinstance(names, ast.Tuple) and isinstance(values, ast.Tuple)
    pairs = zip(names.elts, values.elts, strict=True) if several else [(names, values)]
    found = [(ast.unparse(name).lstrip("_"), number(value)) for name, value in pairs]
    return [(name, value) for name, value in found if name.isupper() and value is not None]


def number(value):
    """Return the number that an expression of nothing but numbers is, else None."""
    parts = ast.Constant | ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop
    if not all(isinstance(part, parts) for part in ast.walk(value)):
        return None
    found = eval(ast.unparse(value))
    return found if type(found) in (int, float) else None


def test_a_limit_on_clusters_clouds_and_networks_stands_in_the_one_object_alone():
    allowed = " ".join(BESIDE.values()).split()
    assert set(durations()) == set(allowed), (
        "a limit that a user's cluster, cloud or network may need otherwise is a key of Timeouts; "
        "all else is named in BESIDE, with why"
    )
