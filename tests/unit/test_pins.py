"""The pins that are not optional: with other versions Prefect's server starts badly or not at all.

fastapi 0.155 and later: no server starts. SQLAlchemy 2.1: it starts, and never schedules a run.
"""

import http.client
import json
import socket

import pytest

from isthmus import waiting
from isthmus.adapters import prefect_server

SCHEDULED = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}


@pytest.mark.server
def test_a_deployment_with_a_schedule_gets_its_runs(tmp_path, monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setattr(prefect_server, "FIRST_PORT", listener.getsockname()[1])
    server = prefect_server.ensure(tmp_path / "server")
    try:
        flow = ask(server, "/api/flows/", {"name": "rebuild"})["id"]
        nightly = {"schedule": {"cron": "0 3 * * *", "timezone": "Europe/Lisbon"}, "active": True}
        deployment = {"name": "nightly", "flow_id": flow, "schedules": [nightly]}
        ask(server, "/api/deployments/", deployment)
        runs = waiting.until(
            lambda: answer(server, "/api/flow_runs/filter", SCHEDULED) or None,
            "a scheduled run",
            timeout=90,
        )
    finally:
        prefect_server.stop(tmp_path / "server")
    assert {run["state_name"] for run in runs} == {"Scheduled"}
    assert all(run["auto_scheduled"] for run in runs)


def ask(server, path, body):
    """Return the server's answer; with SQLite it says 503 while it is busy, and means later."""
    return waiting.until(lambda: answer(server, path, body), f"answer to {path}", timeout=90)


def answer(server, path, body):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status == 503:
        return None
    assert response.status < 300, response.read()
    return json.loads(response.read())
