"""A red verdict is explained by what the clusters show; what fails there takes nothing from it."""

import subprocess
import sys

import pytest
from snapshots import healthy, without
from world import environment

from isthmus.collectors import mesh
from isthmus.errors import Stopped
from isthmus.verification import Finding, Verification
from tasks import diagnosis

RED = Verification(
    environment="pair",
    clients=[],
    findings=(Finding(kind="silent", about="shanghai", text="none came from shanghai"),),
)


def shows(monkeypatch, found):
    def take_snapshot(_):
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr(mesh, "take_snapshot", take_snapshot)


def test_the_cause_comes_first_and_all_of_it_is_on_the_page(monkeypatch):
    shows(monkeypatch, without(healthy(), "shanghai", "Service", "istio-eastwestgateway"))
    found = diagnosis.explain(environment(), RED)
    cause = found.causes[0]
    assert found.first_finding == cause.text.splitlines()[0]
    assert "none came from shanghai" in found.reasons
    assert (
        f"error {cause.kind} shanghai" in found.diagnosis
        and "checks, 2 clusters" in found.diagnosis
    )
    assert "diagnosis" not in found.document()


@pytest.mark.parametrize("trouble", [RuntimeError("full"), OSError("no disk")])
def test_a_snapshot_that_fails_leaves_the_verdict_as_it_is(monkeypatch, trouble):
    shows(monkeypatch, trouble)
    assert diagnosis.explain(environment(), RED) == RED


def test_a_run_that_is_told_to_end_ends_there_too(monkeypatch):
    shows(monkeypatch, Stopped("told to end"))
    with pytest.raises(Stopped):
        diagnosis.explain(environment(), RED)


def test_a_run_loads_what_looks_and_checks_no_sooner_than_it_needs_it():
    code = (
        "import sys, flows.build, flows.verify; "
        "print([m for m in sys.modules if m.startswith(('isthmus.collectors', "
        "'isthmus.diagnosis.analyzers'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
