"""Where a command line stands: streams, locale, umask and proxies made fit, whatever it was given.

Done first, once, and before anything that reads them is imported.
"""

import io
import locale
import os
import resource
import sys
from contextlib import suppress

from isthmus.adapters import web_proxy

OTHERS_WRITE, OTHERS = 0o022, 0o077
FOLDER_VARIABLES = ("ISTHMUS_HOME", "ISTHMUS_CACHE")
PATHS = (*FOLDER_VARIABLES, "ISTHMUS_TOOLS", "ISTHMUS_MIRROR", "PREFECT_API_SSL_CERT_FILE",
         "PREFECT_HOME", "PREFECT_PROFILES_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")  # fmt: skip
"""Variables that may hold a path from the folder one stands in."""
OPEN_FILES_LIMIT = 65536
"""Open files; supervisord wants 1024, a region's API server and etcd thousands."""


def prepare_process() -> None:
    """Make this process one in which any text can be read and printed, and files are its owner's.

    Runs the command line again, in Python's UTF-8 mode, if the locale is of another encoding.
    """
    _open_streams()
    _ensure_utf8_mode()
    _escape_unencodable()
    # Whatever the shell's: never the owner's own rights, never another one's right to write.
    before = os.umask(OTHERS)
    os.umask(before & OTHERS | OTHERS_WRITE)
    _raise_open_files_limit()
    _make_paths_absolute()
    for name in ("COLUMNS", "LINES"):
        if not os.environ.get(name, "").strip("0").isdigit():
            os.environ.pop(name, None)  # nothing can be drawn on 0 columns
    web_proxy.set_proxy_variables()


def _raise_open_files_limit() -> None:
    """Let as many files be open as the server, and a region, want; both inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_LIMIT:
        return
    # Only root may go over what the shell was given.
    for limits in ((OPEN_FILES_LIMIT, OPEN_FILES_LIMIT), (hard, hard)):
        with suppress(ValueError, OSError):
            return resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def _make_paths_absolute() -> None:
    """Make paths of ours count from the root: servers and runs stand in other folders."""
    for name in PATHS:
        path = os.path.expanduser(os.environ.get(name, ""))
        # What is none, as a mirror's URL, is left as it is.
        if path and not path.startswith("/") and (name in FOLDER_VARIABLES or os.path.exists(path)):
            with suppress(OSError):  # the folder is gone; told where it is needed
                os.environ[name] = os.path.abspath(path)


def _open_streams() -> None:
    """Open standard streams that are closed: the next file would take the place of one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull)
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")


def _ensure_utf8_mode() -> None:
    encoding = locale.getpreferredencoding(False).lower().replace("-", "")
    if sys.flags.utf8_mode or encoding == "utf8" or not sys.executable:
        return
    # What is shown stays in the encoding of the terminal.
    shown = os.environ.get("PYTHONIOENCODING") or f"{sys.stdout.encoding}:backslashreplace"
    words = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execve(sys.executable, words, {**os.environ, "PYTHONIOENCODING": shown})


def _escape_unencodable() -> None:
    """Let any text be printed, also to a stream that lacks a character."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
