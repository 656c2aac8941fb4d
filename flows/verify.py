"""Verify: look at a mesh that stands and let its regions ask each other."""

from prefect import flow

from flows import stages
from flows.environment_lock import IfBusy
from flows.state_hooks import FLOW_OPTIONS, return_final_state
from flows.step_runner import run_steps
from isthmus.environment import Environment
from isthmus.verification import Verification


@flow(name="verify", flow_run_name="verify {environment.name}", **FLOW_OPTIONS)
@return_final_state
def verify(environment: Environment, if_busy: IfBusy = "wait") -> Verification:
    """Return the verdict on the mesh as it is; nothing is changed.

    Raises VerificationFailed, with the verification, if the mesh is not what it should be.

    Args:
        environment: The environment to verify.
        if_busy: What to do while another run holds its lock.
    """
    with run_steps(environment, if_busy, "verify") as start:
        clusters = stages.find(start, environment)
        gateways = stages.find_gateways(start, environment, clusters)
        verdict = stages.verify(start, environment, clusters, gateways)
        return start.verified(verdict)
