"""A SOCKS5 proxy of a test's own (RFC 1928): whatever name is asked for, one server answers."""

import socket
import struct
import threading
from contextlib import contextmanager
from types import SimpleNamespace


@contextmanager
def serving(target):
    """Lead every connection to the port `target` of this machine; `names` are what was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    made = SimpleNamespace(port=listener.getsockname()[1], names=[])
    threading.Thread(target=_accept, args=[listener, target, made.names], daemon=True).start()
    try:
        yield made
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener, target, names):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_lead, args=[client, target, names], daemon=True).start()


def _lead(client, target, names):
    stream = client.makefile("rb")
    stream.read(stream.read(2)[1])  # the ways to say who one is
    client.sendall(b"\x05\x00")
    kind = stream.read(4)[3]
    size = {1: 4, 3: 0, 4: 16}[kind] or stream.read(1)[0]
    names.append(stream.read(size).decode("latin-1"))
    struct.unpack("!H", stream.read(2))
    server = socket.create_connection(("127.0.0.1", target))
    client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
    threading.Thread(target=_copy, args=[server, client], daemon=True).start()
    _copy(client, server)


def _copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
