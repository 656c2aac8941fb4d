"""The server with a PostgreSQL: named once, used ever after, and never printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from postgresql import postgresql
from prefects import SUM_UP, ask, free_port

from isthmus.adapters import prefect_database, prefect_record, prefect_server
from isthmus.errors import Unprepared

VARIABLE = prefect_database.VARIABLE
__all__ = ["postgresql"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a folder for a server; what was started there is gone afterwards."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ISTHMUS_HOME", str(tmp_path))
    monkeypatch.setattr(prefect_record, "FIRST_PORT", free_port())
    yield tmp_path / "server"
    prefect_server.stop(tmp_path / "server", now=True)


def test_a_wrong_password_and_a_database_that_is_not_there_are_told(postgresql, home, monkeypatch):
    monkeypatch.setenv(VARIABLE, postgresql.replace("canary", "wrong-canary"))
    with pytest.raises(Unprepared, match="password authentication failed") as caught:
        prefect_server.ensure(home)
    assert "canary" not in str(caught.value)
    monkeypatch.setenv(VARIABLE, postgresql.replace("/postgres", "/nowhere"))
    with pytest.raises(Unprepared, match='"nowhere" does not exist'):
        prefect_server.ensure(home)
    assert prefect_server.stop(home) is False


def test_a_run_is_recorded_in_postgresql_and_the_next_start_uses_it_too(
    postgresql, home, monkeypatch
):
    monkeypatch.setenv(VARIABLE, postgresql)
    prefect_server.ensure(home)
    done = subprocess.run(
        [sys.executable, "-c", SUM_UP], capture_output=True, text=True, timeout=180
    )
    assert (done.stdout, done.stderr) == ("12\n", "")
    [run] = ask(home, "/flow_runs/filter", {})
    assert run["state_type"] == "COMPLETED" and "a-tag" in run["tags"]
    assert not (home / "prefect.db").exists()

    supervisor = prefect_record.read(home).supervisor.pid
    inherited = Path(f"/proc/{supervisor}/environ").read_bytes()
    assert b"ISTHMUS_HOME" in inherited and b"canary" not in inherited
    monkeypatch.setenv(VARIABLE, "sqlite")
    with pytest.raises(Unprepared, match="runs with postgresql"):
        prefect_server.ensure(home)
    monkeypatch.delenv(VARIABLE)
    prefect_server.stop(home)
    prefect_server.ensure(home)
    assert [found["id"] for found in ask(home, "/flow_runs/filter", {})] == [run["id"]]
    holders = {path.name for path in home.rglob("*") if holds_canary(path)}
    assert holders == {"database"}
    assert (home / "database").stat().st_mode & 0o077 == 0


def holds_canary(path):
    return path.is_file() and b"canary" in path.read_bytes()
