"""An API server as it is on a bad day: a proxy before it that refuses, throttles and cuts.

Of all requests five in a hundred are answered with 429, 500 or 503, and one connection in a hundred
is cut while the answer comes, that of an exec's stream too. By hand, for as many cycles of `up`,
`verify` and `down` as one likes, on two bare regions of its own:

    PYTHONPATH=tests python tests/live/unkind.py CYCLES
"""

import asyncio
import base64
import json
import random
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from live.bare import environment_of, regions
from live.conftest import Isthmus
from live.files import write

from isthmus import certificates

REFUSED, CUT = 0.05, 0.01
STATUSES = {
    429: ("Too Many Requests", "the server has received too many requests"),
    500: ("Internal Server Error", "etcdserver: request timed out"),
    503: ("Service Unavailable", "the server is currently unable to handle the request"),
}


class Unkind:
    """The proxy of one API server, with a CA of its own; `done` counts what it did."""

    def __init__(self, kubeconfig: Path, address: str, seed: int) -> None:
        self._document = json.loads(kubeconfig.read_text())
        self._cluster = self._document["clusters"][0]["cluster"]
        self._server = urlsplit(self._cluster["server"])
        self._address, self._chance = address, random.Random(seed)
        self.done: Counter[str] = Counter()

    def kubeconfig(self, path: Path, port: int, authority: str) -> Path:
        """Write the kubeconfig by which the cluster is reached through the proxy."""
        own = base64.b64decode(self._cluster["certificate-authority-data"]).decode()
        both = base64.b64encode(f"{authority}{own}".encode()).decode()
        server = f"https://{self._address}:{port}"
        self._document["clusters"][0]["cluster"] |= {
            "server": server,
            "certificate-authority-data": both,
        }
        path.write_text(json.dumps(self._document))
        return path

    @contextmanager
    def standing(self, folder: Path, name: str) -> Iterator[Path]:
        """Stand before the API server while the block runs; give the kubeconfig to use."""
        context, authority = certified(folder, self._address)
        listener = socket.create_server((self._address, 0))
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        serving = asyncio.start_server(self._serve, sock=listener, ssl=context)
        server = asyncio.run_coroutine_threadsafe(serving, loop).result(10)
        try:
            yield self.kubeconfig(folder / name, listener.getsockname()[1], authority)
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            self.done["ended"] += 1
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request of a connection; the next one comes over another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.done["requests"] += 1
        if self._chance.random() < REFUSED:
            return await self._refuse(head, reader, writer)
        upgrades = "\r\nupgrade:" in head.lower()
        if not upgrades:
            lines = [row for row in head.split("\r\n") if not row.lower().startswith("connection:")]
            head = "\r\n".join([*lines[:-2], "Connection: close", "", ""])
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # on this machine alone
        up_reader, up_writer = await asyncio.open_connection(
            self._server.hostname, self._server.port, ssl=trust
        )
        up_writer.write(head.encode("latin-1"))
        cut_after = self._chance.randrange(4000) if self._chance.random() < CUT else None
        there = asyncio.create_task(_relay(reader, up_writer, None))
        try:
            if await _relay(up_reader, writer, cut_after):
                self.done["streams cut" if upgrades else "cut"] += 1
                writer.transport.abort()
        finally:
            there.cancel()
            up_writer.close()

    async def _refuse(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        status = self._chance.choice(list(STATUSES))
        self.done[str(status)] += 1
        reason, message = STATUSES[status]
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
        # Some say nothing at all, as a proxy of a cloud's does.
        text = json.dumps({**body, "message": message}) if self._chance.random() < 0.5 else ""
        lengths = [r for r in head.lower().split("\r\n") if r.startswith("content-length:")]
        if lengths:
            await reader.readexactly(int(lengths[0].split(":")[1]))
        again = "Retry-After: 1\r\n" if status == 429 else ""
        writer.write(
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n{again}"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()
        )
        await writer.drain()


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut_after: int | None
) -> bool:
    """Pass on all that comes; tell whether it was cut."""
    passed = 0
    while data := await reader.read(65536):
        if cut_after is not None and passed + len(data) > cut_after:
            writer.write(data[: max(0, cut_after - passed)])
            await writer.drain()
            return True
        passed += len(data)
        writer.write(data)
        await writer.drain()
    return False


def certified(folder: Path, address: str) -> tuple[ssl.SSLContext, str]:
    """Return a server's context with a certificate for the address, and its CA (PEM)."""
    key = certificates.new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"unkind {address}")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    authority = x509.BasicConstraints(ca=True, path_length=0)
    made = (
        certificates.builder(name, name, key)
        .add_extension(names, critical=False)
        .add_extension(authority, critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"unkind-{address.replace(':', '-')}.pem"
    path.write_text(certificates.key_pem(key) + certificates.pem(made))
    path.chmod(0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, certificates.pem(made)


@contextmanager
def before(
    clusters: dict[str, Path], bridge: str, folder: Path, seed: int
) -> Iterator[tuple[Path, Counter[str]]]:
    """Put a proxy before each API server; give an environment file, and what they did so far.

    Only this machine asks through the proxies: what pods ask of each other is not on trial.
    """
    done: Counter[str] = Counter()
    with ExitStack() as stack:
        kubeconfigs = {}
        for number, (name, path) in enumerate(clusters.items()):
            proxy = Unkind(path, bridge, seed + number)
            proxy.done = done
            kubeconfigs[name] = stack.enter_context(proxy.standing(folder, name))
        file = environment_of(folder / "unkind.yaml", "unkind", kubeconfigs, "kubefed")
        content = yaml.safe_load(file.read_text())
        for spec in (content["host"], *content["remotes"]):
            document = json.loads(clusters[spec["name"]].read_text())
            spec["server"] = document["clusters"][0]["cluster"]["server"]
        yield write(file, **content), done


def bridge_of(isthmus: Isthmus, environment: str) -> str:
    """Return this machine's address on a lab's bridge."""
    record = isthmus.home / "environments" / environment / "network.json"
    return str(IPv4Network(json.loads(record.read_text())["subnet"])[1])


def main() -> int:
    """Build, prove and take away a mesh as often as one likes; tell how each verb ended."""
    cycles, codes = int(sys.argv[1]), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="unkind-") as place:
        folder = Path(place)
        isthmus = Isthmus(folder / "home")
        try:
            with regions(isthmus, folder, "bare-unkind", ["one", "two"]) as clusters:
                bridge = bridge_of(isthmus, "bare-unkind")
                with before(clusters, bridge, folder, seed=cycles) as (file, done):
                    for number in range(cycles):
                        for verb, what in (("up", file), ("verify", "unkind"), ("down", "unkind")):
                            codes[f"{verb} {_tell(isthmus, number, verb, what)}"] += 1
                    print(f"the proxies: {dict(done)}")
        finally:
            isthmus.run("server", "stop", "--now")
    print(f"{cycles} cycles, by verb and exit code: {dict(codes)}")
    return 0 if all(key.endswith(" 0") for key in codes) else 1


def _tell(isthmus: Isthmus, number: int, verb: str, what: object) -> int:
    begun = time.monotonic()
    process = isthmus.start(verb, what)
    _, err = process.communicate(timeout=1500)
    print(
        f"{number + 1}: {verb} {process.returncode}, {time.monotonic() - begun:.0f} s", flush=True
    )
    if process.returncode:
        print(err[-3000:], flush=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
