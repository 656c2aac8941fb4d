"""Rebuild: take the environment away, then build it from nothing and prove it."""

from prefect import flow

from flows import build, teardown
from flows.environment_lock import IfBusy
from flows.state_hooks import FLOW_OPTIONS, return_final_state
from flows.step_runner import run_steps
from isthmus.environment import Environment
from isthmus.verification import Verification
from tasks import clusters


@flow(name="rebuild", flow_run_name="rebuild {environment.name}", **FLOW_OPTIONS)
@return_final_state
def rebuild(environment: Environment, if_busy: IfBusy = "wait", buy: bool = False) -> Verification:
    """Delete the environment and build it again; nothing is kept, not even its root CA.

    Raises VerificationFailed, with the verification, if the mesh is not what it should be.

    Args:
        environment: The environment to delete and to build again.
        if_busy: What to do while another run holds its lock.
        buy: Confirm the purchase of clusters that cost money; without it none is bought.
    """
    with run_steps(environment, if_busy) as start:
        # What could not be built again is left standing.
        start(clusters.prepare, environment, buy, anew=True).result()
        teardown.submit_teardown(start, environment)
        start.wait_all()
        return start.verified(build.submit_build(start, environment, buy))
