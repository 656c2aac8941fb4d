"""Build: from an environment to a mesh that is proven by traffic. Safe to run again at any time."""

from prefect import flow

from flows import stages
from flows.environment_lock import IfBusy
from flows.stages import Future
from flows.state_hooks import FLOW_OPTIONS, return_final_state
from flows.step_runner import StepRunner, run_steps
from isthmus.environment import Environment
from isthmus.istio_manifests import resolve_environment
from isthmus.verification import Verification


@flow(name="build", flow_run_name="build {environment.name}", **FLOW_OPTIONS)
@return_final_state
def build(environment: Environment, if_busy: IfBusy = "wait", buy: bool = False) -> Verification:
    """Build the environment and verify it by traffic; what is as wanted already is not changed.

    Raises VerificationFailed, with the verification, if the mesh is not what it should be.

    Args:
        environment: The environment to build.
        if_busy: What to do while another run holds its lock.
        buy: Confirm the purchase of clusters that cost money; without it none is bought.
    """
    with run_steps(environment, if_busy) as start:
        return start.verified(submit_build(start, environment, buy))


def submit_build(start: StepRunner, environment: Environment, buy: bool) -> Future:
    """Start all that makes the environment true; return the future of its verification."""
    mesh = resolve_environment(environment)
    clusters = stages.create(start, environment, buy)
    parted = stages.decommission(start, environment, clusters)
    federation = stages.federate(start, mesh, clusters, parted)
    installed = stages.install(start, mesh, clusters, federation)
    sample = stages.deploy(start, mesh, clusters, federation, installed)
    return stages.verify(start, environment, clusters, installed.gateways, sample)
