"""Teardown: leave nothing that Isthmus made, and touch nothing else."""

from prefect import flow

from flows import stages
from flows.environment_lock import IfBusy
from flows.state_hooks import FLOW_OPTIONS, return_final_state
from flows.step_runner import StepRunner, run_steps
from isthmus.environment import Environment
from tasks import teardown as tasks


@flow(name="teardown", flow_run_name="teardown {environment.name}", **FLOW_OPTIONS)
@return_final_state
def teardown(environment: Environment, if_busy: IfBusy = "wait", anothers: bool = False) -> None:
    """Delete the environment, as much of it as there is.

    Args:
        environment: The environment to delete.
        if_busy: What to do while another run holds its lock.
        anothers: Confirm the deletion of a mesh whose root CA is not in this ISTHMUS_HOME.
    """
    with run_steps(environment, if_busy, "down") as start:
        submit_teardown(start, environment, anothers)


def submit_teardown(start: StepRunner, environment: Environment, anothers: bool = False) -> None:
    """Start all that takes the environment away, as much of it as there is."""
    withdrawn = []
    if not tasks.has_disposable_clusters(environment):
        withdrawn = stages.uninstall(start, environment, anothers)
    deleted = start(tasks.delete_clusters, environment, withdrawn)
    start(tasks.forget_environment, environment, deleted)
