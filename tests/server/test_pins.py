"""The pins that are not optional: with other versions Prefect's server starts badly or not at all.

fastapi 0.155 and later: no server starts. SQLAlchemy 2.1: it starts, and never schedules a run.
"""

from prefects import ask, free_port

from isthmus import polling
from isthmus.adapters import prefect_record, prefect_server

SCHEDULED = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}


def test_a_deployment_with_a_schedule_gets_its_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(prefect_record, "FIRST_PORT", free_port())
    home = tmp_path / "server"
    prefect_server.ensure(home)
    try:
        flow = ask(home, "/flows/", {"name": "rebuild"})["id"]
        nightly = {"schedule": {"cron": "0 3 * * *", "timezone": "Europe/Lisbon"}, "active": True}
        ask(home, "/deployments/", {"name": "nightly", "flow_id": flow, "schedules": [nightly]})
        runs = polling.until(
            lambda: ask(home, "/flow_runs/filter", SCHEDULED) or None,
            "a scheduled run",
            timeout=90,
        )
    finally:
        prefect_server.stop(home)
    assert {run["state_name"] for run in runs} == {"Scheduled"}
    assert all(run["auto_scheduled"] for run in runs)
