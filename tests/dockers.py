"""Stand-ins for docker, kind and cloud-provider-kind: programs that share one engine, a JSON file.

This file is each of them, under its name. They answer as the real ones do (kind 0.33, Docker 29,
cloud-provider-kind 0.11) and end with 97 if they are called in a way that the real ones are not.
Standard library only.
"""

import fcntl
import json
import os
import signal
import stat
import sys
from contextlib import contextmanager
from pathlib import Path

STATE = "{{.Id}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
LABEL = "io.x-k8s.cloud-provider-kind.cluster"
DOWN = (
    "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?"
)
EMPTY = {"down": "", "system": "Debian GNU/Linux 13", "nodes": {}, "balancers": {}, "calls": []}


class Engine:
    """What a test sees of it and changes in it."""

    def __init__(self, folder, balancer):
        self.bin, self.balancer = folder / "bin", balancer
        self.file = self.bin / "engine.json"
        self.bin.mkdir()
        self.file.write_text(json.dumps(EMPTY))
        for name in ("docker", "kind", balancer):
            self.install(name)

    def install(self, name):
        path = self.bin / name
        # Without site it starts at once; but then it does not look like a program of this name.
        flags = "" if name == self.balancer else " -IS"
        path.write_text(f"#!{sys.executable}{flags}\n{Path(__file__).read_text()}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def remove(self, name):
        (self.bin / name).unlink()

    def __getitem__(self, key):
        return json.loads(self.file.read_text())[key]

    def __setitem__(self, key, value):
        with changing(self.file) as engine:
            engine[key] = value

    def clusters(self):
        return sorted(node["cluster"] for node in self["nodes"].values())

    def calls(self, start):
        return [call for call in self["calls"] if call.startswith(start)]


@contextmanager
def changing(file):
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = json.loads(file.read_text())
        try:
            yield engine
        finally:
            part = file.with_suffix(".part")
            part.write_text(json.dumps(engine))
            part.rename(file)


def kind(engine, arguments):
    if os.environ.get("KIND_EXPERIMENTAL_PROVIDER") != "docker":
        return misused("kind: it would choose its own engine")
    if engine["down"]:
        return fail(f"ERROR: failed to list clusters: exit status 1\nCommand Output: {DOWN}")
    match arguments:
        case ["get", "clusters"]:
            names = sorted(node["cluster"] for node in engine["nodes"].values())
            return say("\n".join(names)) if names else warn("No kind clusters found.")
        case ["create", "cluster", "--name", name, "--kubeconfig", path, "--config", "-"]:
            return create(engine, name, path, sys.stdin.read())
        case ["delete", "cluster", "--name", name, "--kubeconfig", path]:
            engine["nodes"].pop(f"{name}-control-plane", None)
            Path(path).write_text("apiVersion: v1\nkind: Config\n")
            return warn(f'Deleting cluster "{name}" ...')
        case ["get", "kubeconfig", "--name", name]:
            return say(kubeconfig(engine, name))
    return misused(f"kind {arguments}")


def create(engine, name, path, config):
    if f"{name}-control-plane" in engine["nodes"]:
        text = f'node(s) already exist for a cluster with the name "{name}"'
        return fail(f"ERROR: failed to create cluster: {text}")
    warn(f'Creating cluster "{name}" ...')
    image = next(line.split("image: ")[1] for line in config.splitlines() if "image: " in line)
    if "missing" in image:
        return fail(
            f'ERROR: failed to create cluster: failed to pull image "{image}": exit status 1'
        )
    begin(engine, name, config)
    if "crash" in image:
        return fail("ERROR: signal: terminated")
    Path(path).write_text(kubeconfig(engine, name))
    return 0


def begin(engine, name, config=""):
    number = len(engine["calls"])
    # Docker gives a container that replaces another the address that has become free.
    address = f"172.18.0.{100 + sum(name.encode()) % 100}"
    engine["nodes"][f"{name}-control-plane"] = {
        "cluster": name, "id": f"id{number}", "ip": address, "config": config,
    }  # fmt: skip


def kubeconfig(engine, name):
    node = engine["nodes"][f"{name}-control-plane"]
    key = f"kind-{name}"
    cluster = {
        "server": f"https://127.0.0.1:4{node['id'][2:]}",
        "certificate-authority-data": "Q0E=",
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": key, "cluster": cluster}],
            "users": [{"name": key, "user": {"client-key-data": "canary"}}],
            "contexts": [{"name": key, "context": {"cluster": key, "user": key}}],
            "current-context": key,
        }
    )


def docker(engine, arguments):
    if engine["down"]:
        return fail(engine["down"])
    match arguments:
        case ["info", "--format", "{{.OperatingSystem}}"]:
            return say(engine["system"])
        case ["inspect", "--format", shape, name] if shape == STATE:
            if not (node := engine["nodes"].get(name)):
                return fail(f"Error response from daemon: No such object: {name}")
            return say(f"{node['id']} {node['ip']} ")
        case ["start", name]:
            node = engine["nodes"][name]
            node["ip"] = node["ip"] or "172.18.0.99"
            return say(name)
        case ["ps", "--all", "--filter", wanted, "--format", "{{.Names}}"]:
            key, _, cluster = wanted.removeprefix("label=").partition("=")
            found = [n for n, of in engine["balancers"].items() if cluster in ("", of)]
            return say("\n".join(found)) if key == LABEL else misused(wanted)
        case ["rm", "--force", "--volumes", *names] if names:
            for name in names:
                engine["balancers"].pop(name, None)
            return say("\n".join(names))
    return misused(f"docker {arguments}")


def balance(file, arguments):
    if arguments == ["--help"]:
        old = "old" in json.loads(file.read_text())
        return say("Flags:\n" + ("" if old else "      --gateway-channel string  define the ..."))
    if arguments != ["--gateway-channel", "disabled"]:
        return misused(f"cloud-provider-kind {arguments}")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with changing(file) as engine:
        engine["balancing"] = os.getpid()
    signal.sigwait([signal.SIGTERM])
    with changing(file) as engine:
        engine["balancers"] = {}
    return 0


def say(text):
    print(text)
    return 0


def warn(text):
    print(text, file=sys.stderr)
    return 0


def fail(text):
    print(text, file=sys.stderr)
    return 1


def misused(text):
    print(f"no such call: {text}", file=sys.stderr)
    return 97


def main():
    program, arguments = Path(sys.argv[0]), sys.argv[1:]
    file = program.parent / "engine.json"
    if program.name not in ("kind", "docker"):
        return balance(file, arguments)
    with changing(file) as engine:
        engine["calls"].append(" ".join([program.name, *arguments]))
        return (kind if program.name == "kind" else docker)(engine, arguments)


if __name__ == "__main__":
    sys.exit(main())
