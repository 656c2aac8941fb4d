"""Everything that passes this machine's outer interfaces, looked at for the lab's addresses."""

import ipaddress
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_PROTOCOL = 3
LAB = [ipaddress.ip_network(n) for n in ("198.18.0.0/15", "10.244.0.0/16", "10.96.0.0/16")]
HEADER = 14


class Listener:
    """Counts packets on outer interfaces, and keeps those that bear an address of the lab."""

    def __init__(self) -> None:
        self.packets = 0
        self.escaped: list[str] = []

    def look(self, frame: bytes, interface: str) -> None:
        self.packets += 1
        if len(frame) < HEADER + 20 or frame[12:14] != b"\x08\x00":
            return
        for start in (HEADER + 12, HEADER + 16):
            address = ipaddress.ip_address(frame[start : start + 4])
            if any(address in network for network in LAB):
                self.escaped.append(f"{interface}: {address}")


def outer_interfaces() -> list[str]:
    """Return the interfaces by which this machine's routes leave it."""
    routes = subprocess.run(["ip", "route"], text=True, capture_output=True, check=True).stdout
    return sorted({line.split(" dev ")[1].split()[0] for line in routes.splitlines()})


@contextmanager
def listening() -> Iterator[Listener]:
    listener, end = Listener(), threading.Event()
    sockets = []
    for name in outer_interfaces():
        if name.startswith("isth-"):
            continue
        receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
        receiver.bind((name, 0))
        receiver.settimeout(0.5)
        sockets.append((name, receiver))

    def receive(name: str, receiver: socket.socket) -> None:
        while not end.is_set():
            try:
                listener.look(receiver.recv(65535), name)
            except TimeoutError:
                continue

    threads = [threading.Thread(target=receive, args=pair, daemon=True) for pair in sockets]
    for thread in threads:
        thread.start()
    yield listener
    end.set()
    for thread in threads:
        thread.join()
    for _, receiver in sockets:
        receiver.close()
