"""Teardown: leave nothing that Isthmus made, and touch nothing else."""

from prefect import flow

from flows import chapters
from flows.steps import Steps
from isthmus.environment import Environment
from tasks import teardown as tasks


@flow(name="teardown", flow_run_name="teardown {environment.name}")
def teardown(environment: Environment) -> None:
    """Take the environment away, as much of it as there is."""
    start = Steps()
    if not tasks.clusters_go_whole(environment):
        chapters.withdraw(start, environment)
        start.end()
    tasks.delete_clusters(environment)
    tasks.forget(environment)
