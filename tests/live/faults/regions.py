"""Packets dropped, programs of a region stopped, processes halted, servers put in the way."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from live.faults import Step, note, undoes
from live.faults.objects import get
from live.runs import ancestors, region_of

from isthmus import polling
from isthmus.adapters import supervisord
from isthmus.errors import NotReady
from isthmus.providers.lab import network

DROP, REFUSE = ("-j", "DROP"), ("-j", "REJECT", "--reject-with", "tcp-reset")


def node(mesh: Any, cluster: str) -> str:
    """Return a node's address, from which all its pods' packets come, too."""
    index = json.loads((mesh.folder / "regions.json").read_text())[cluster]
    return _network(mesh).node(index)


def nowhere(mesh: Any) -> str:
    """Return an address of the regions' own range that nobody has."""
    return str(_network(mesh).subnet[250])


def bridge(mesh: Any) -> str:
    """Return this machine's address among the regions, from which Isthmus asks."""
    return str(_network(mesh).subnet[1])


def gateway(mesh: Any, cluster: str) -> str:
    """Return the address of a cluster's gateway."""
    service = get(mesh, cluster, "service/istio-eastwestgateway")
    found: str = service["status"]["loadBalancer"]["ingress"][0]["ip"]
    return found


def rule(mesh: Any, cluster: str, *words: str, table: str = "filter") -> None:
    """Let a rule come first in a region's packet filter: `FORWARD -p tcp ...`."""
    note(mesh, "rule", cluster=cluster, table=table, words=words)
    _iptables(mesh, cluster, table, "-I", *words)


@undoes("rule")
def _without_rule(mesh: Any, step: Step) -> None:
    with suppress(NotReady):
        _iptables(mesh, step["cluster"], step["table"], "-D", *step["words"])


def stop(mesh: Any, cluster: str, program: str) -> None:
    """Stop a program of a region; its supervisor does not start it again."""
    note(mesh, "program", cluster=cluster, program=program)
    supervisord.stop_program(_supervisor(mesh, cluster), program)


@undoes("program")
def _started(mesh: Any, step: Step) -> None:
    cluster = step["cluster"]
    supervisord.start_program(_supervisor(mesh, cluster), step["program"])
    if step["program"] == "apiserver":

        def ready() -> bool | None:
            command = mesh.kubectl_command(cluster, "get", "--raw=/readyz", "--request-timeout=2s")
            return True if subprocess.run(command, capture_output=True).returncode == 0 else None

        polling.until(ready, f"{cluster}'s API server", timeout=90, interval=0.5)


def halt(mesh: Any, cluster: str, pod: str, program: str) -> None:
    """Let a program of a pod stand still: it neither answers nor ends."""
    for pid in processes(mesh, cluster, pod, program):
        note(mesh, "halted", pid=pid, program=program)
        os.kill(pid, signal.SIGSTOP)


@undoes("halted")
def _goes_on(mesh: Any, step: Step) -> None:
    if _name(step["pid"]) == step["program"]:
        os.kill(step["pid"], signal.SIGCONT)


def processes(mesh: Any, cluster: str, pod: str, program: str) -> list[int]:
    """Return the process ids, as this machine has them, of a program in a pod of a region."""
    every = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    named = [pid for pid in every if _name(pid) == program and _hostname(pid) == pod]
    found = [pid for pid in named if region_of(mesh.folder / "regions" / cluster) in ancestors(pid)]
    assert found, f"{cluster}: {pod} has no {program}"
    return found


def serve(mesh: Any, cluster: str, port: int, script: str) -> None:
    """Let a Python program serve at a port of a region's own network."""
    inside = ["nsenter", f"--net={_namespace(mesh, cluster)}"]
    process = subprocess.Popen(
        [*inside, sys.executable, "-c", script], start_new_session=True, stdin=subprocess.DEVNULL
    )
    note(mesh, "served", pid=process.pid, words=script[:60])

    def listens() -> bool | None:
        assert process.poll() is None, "what should serve has ended"
        listed = subprocess.run([*inside, "ss", "-Hltn"], text=True, capture_output=True).stdout
        return True if f":{port} " in listed else None

    polling.until(listens, f"port {port} to be served", timeout=20)


@undoes("served")
def _ended(mesh: Any, step: Step) -> None:
    command = Path(f"/proc/{step['pid']}/cmdline")
    if command.exists() and step["words"][:60] in command.read_text():
        os.kill(step["pid"], signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(step["pid"], 0)


def again(mesh: Any) -> None:
    """Have `isthmus up` mend what nothing else can put back as it was, such as a token."""
    note(mesh, "up")


@undoes("up")
def _up(mesh: Any, step: Step) -> None:
    mesh.isthmus.run("up", mesh.file)


def until(found: Callable[[], bool], what: str, limit: float = 60) -> None:
    """Wait until something is so."""
    polling.until(lambda: True if found() else None, what, timeout=limit, interval=0.5)


def _network(mesh: Any) -> network.LabNetwork:
    known = network.find_network(mesh.folder)
    assert known, "the environment has no network"
    return known


def _namespace(mesh: Any, cluster: str) -> Path:
    return network.NETNS / _network(mesh).namespace(cluster)


def _iptables(mesh: Any, cluster: str, table: str, *words: str) -> None:
    command = ["nsenter", f"--net={_namespace(mesh, cluster)}", "iptables", "-w", "-t", table]
    done = subprocess.run([*command, *words], text=True, capture_output=True)
    if done.returncode:
        raise NotReady(f"iptables {' '.join(words)}: {done.stderr.strip()}", cluster=cluster)


def _supervisor(mesh: Any, cluster: str) -> Any:
    pid = region_of(mesh.folder / "regions" / cluster)
    return supervisord.rpc_client(f"/proc/{pid}/root/run/region/supervisor.sock")


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _hostname(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((w[9:].decode() for w in words if w.startswith(b"HOSTNAME=")), "")
