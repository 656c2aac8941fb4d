"""Diagnose: take a snapshot of all clusters and name what is broken, and why."""

from prefect import flow

from flows.environment_lock import IfBusy
from flows.state_hooks import FLOW_OPTIONS, return_final_state
from flows.step_runner import run_steps
from isthmus.diagnosis.diagnosis import Diagnosis
from isthmus.environment import Environment
from tasks import diagnosis


@flow(name="diagnose", flow_run_name="diagnose {environment.name}", **FLOW_OPTIONS)
@return_final_state
def diagnose(environment: Environment, if_busy: IfBusy = "wait") -> Diagnosis:
    """Return each failure that the clusters show, with evidence, cause and what to type.

    Nothing is changed. Raises DiagnosisFailed, with the findings, if one of them is an error.

    Args:
        environment: The environment to diagnose.
        if_busy: What to do while another run holds its lock.
    """
    with run_steps(environment, if_busy, "diagnose") as start:
        found = start(diagnosis.diagnose, environment)
        start.wait_all()
        result: Diagnosis = found.result(raise_on_failure=False)
        result.raise_for_findings()
        return result
