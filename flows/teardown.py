"""Teardown: leave nothing that Isthmus made, and touch nothing else."""

from prefect import flow

from flows import stages
from flows.environment_lock import IfBusy
from flows.state_hooks import STORY, ending
from flows.step_runner import StepRunner, steps_of
from isthmus.environment import Environment
from tasks import teardown as tasks


@flow(name="teardown", flow_run_name="teardown {environment.name}", **STORY)
@ending
def teardown(environment: Environment, if_busy: IfBusy = "wait", anothers: bool = False) -> None:
    """Take the environment away, as much of it as there is.

    Args:
        environment: What is to be taken away.
        if_busy: What to do while another run is at work on it.
        anothers: Say yes to the end of a mesh that was not built from here.
    """
    with steps_of(environment, if_busy, "down") as start:
        tell(start, environment, anothers)


def tell(start: StepRunner, environment: Environment, anothers: bool = False) -> None:
    """Start all that takes the environment away, as much of it as there is."""
    withdrawn = []
    if not tasks.clusters_go_whole(environment):
        withdrawn = stages.withdraw(start, environment, anothers)
    deleted = start(tasks.delete_clusters, environment, withdrawn)
    start(tasks.forget, environment, deleted)
