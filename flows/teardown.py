"""Teardown: leave nothing that Isthmus made, and touch nothing else."""

from prefect import flow

from flows import chapters
from flows.steps import steps_of
from isthmus.environment import Environment
from tasks import teardown as tasks


@flow(name="teardown", flow_run_name="teardown {environment.name}")
def teardown(environment: Environment) -> None:
    """Take the environment away, as much of it as there is."""
    with steps_of(environment) as start:
        withdrawn = []
        if not tasks.clusters_go_whole(environment):
            withdrawn = chapters.withdraw(start, environment)
        deleted = start(tasks.delete_clusters, environment, withdrawn)
        start(tasks.forget, environment, deleted)
