"""The environment that programs get: made here, so that nobody's shell changes what they do.

A program gets `for_program`. None calls a person's login plugin (`exec` in a kubeconfig):
programs ask clusters through this process (api_proxy), which does.
"""

import os
import pwd
import tempfile
from pathlib import Path

import platformdirs

import isthmus
from isthmus import state
from isthmus.adapters import web_proxy
from isthmus.errors import Unprepared

FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where a machine's programs are; `su` and cron leave some of them out."""
LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
KEPT = ("TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Of the person's: what says where the machine's own clock and trust are."""


def for_program(**more: str) -> dict[str, str]:
    """Return what a program gets that is none of the person's business."""
    kept = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    return {**_base(), "HOME": str(home()), **kept, **web_proxy.for_programs(), **more}


def for_region() -> dict[str, str]:
    """Return what a region's programs get: they know nobody outside, and no proxy."""
    return {**_base(), "HOME": "/"}


def for_helm() -> dict[str, str]:
    """Return what Helm gets: its own files lie with ours."""
    folder = state.cache() / "helm"
    names = ("CACHE", "CONFIG", "DATA")
    return {**for_program(), **{f"HELM_{name}_HOME": str(folder / name.lower()) for name in names}}


def for_own_python() -> dict[str, str]:
    """Return what our own Python programs get: all of the person's that does not change Python.

    They run flows, which want the person's keys of a cloud, and folders.
    """
    own = {k: v for k, v in os.environ.items() if not _changes_python(k)}
    return {
        **own,
        **_python_path(),
        **LOCALE,
        "PYTHONUTF8": "1",
        "TMPDIR": temporary(),
        "HOME": _named(),
    }


def home() -> Path:
    """Return a home folder that can be written to: the person's, or one of ours."""
    named = Path(_named())
    if named.is_dir() and os.access(named, os.W_OK | os.X_OK):
        return named
    ours = state.cache() / "home"
    ours.mkdir(parents=True, exist_ok=True, mode=0o700)
    return ours


def path() -> str:
    """Return the folders where programs are looked for: the person's, then the machine's."""
    own = [part for part in os.environ.get("PATH", "").split(":") if part.startswith("/")]
    return ":".join(dict.fromkeys([*own, *FOLDERS]))


def temporary() -> str:
    """Return a folder for temporary files that can be written to: TMPDIR, or the usual ones.

    Raises Unprepared if there is none.
    """
    try:
        return tempfile.gettempdir()
    except OSError as error:
        hint = "make room there, or name another folder: TMPDIR=…"
        raise Unprepared(f"{error.strerror or error} (TMPDIR)", hint=hint) from None


def _base() -> dict[str, str]:
    return {"PATH": path(), **LOCALE, "TMPDIR": temporary()}


def _named() -> str:
    if named := os.environ.get("HOME"):
        return named
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir or "/"
    except KeyError:  # a user of a container that no file lists
        return "/nonexistent"


def _python_path() -> dict[str, str]:
    """Return PYTHONPATH with the folders that we are loaded from ourselves, if any is in it."""
    ours = {Path(module.__file__ or "").parents[1] for module in (isthmus, platformdirs)}
    kept = [p for p in os.environ.get("PYTHONPATH", "").split(":") if p and Path(p) in ours]
    return {"PYTHONPATH": ":".join(kept)} if kept else {}


def _changes_python(name: str) -> bool:
    return name.startswith(("PYTHON", "LC_", "LD_PRELOAD", "LANGUAGE"))
