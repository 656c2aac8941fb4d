"""A PostgreSQL of a test's own."""

import glob
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from prefects import free_port

from isthmus import polling

PASSWORD = "canary%2Fof-a-database"  # with a slash, as in the URL
PROGRAMS = "/usr/lib/postgresql/*/bin"


@pytest.fixture(scope="module")
def postgresql():
    """Run a PostgreSQL of our own; return the URL of its database."""
    if not (found := sorted(glob.glob(PROGRAMS))):
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    # It does not run as root, and its user may not look into pytest's folders.
    with tempfile.TemporaryDirectory() as name:
        user = as_its_owner(Path(name))
        port = free_port()
        make_cluster(found[-1], Path(name), user)
        listen = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
        command = [*user, f"{found[-1]}/postgres", "-D", f"{name}/data", *listen]
        server = subprocess.Popen(command, cwd=name)
        ready = [f"{found[-1]}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        try:
            polling.until(lambda: not subprocess.call(ready) or None, "PostgreSQL", timeout=60)
            yield f"postgresql://isthmus:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait()


def as_its_owner(folder):
    if os.geteuid():
        return []
    shutil.chown(folder, "postgres")
    return ["runuser", "-u", "postgres", "--"]


def make_cluster(programs, folder, user):
    (folder / "password").write_text(PASSWORD.replace("%2F", "/"))
    access = ["--auth=scram-sha-256", f"--pwfile={folder}/password", "--username=isthmus"]
    command = [*user, f"{programs}/initdb", "-D", f"{folder}/data", "--no-sync", *access]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
