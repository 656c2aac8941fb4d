"""Build: from an environment to a mesh that is proven by traffic. Safe to run again at any time."""

from prefect import flow

from flows import chapters
from flows.steps import steps_of
from isthmus.environment import Environment
from isthmus.verification import Verification


@flow(name="build", flow_run_name="build {environment.name}")
def build(environment: Environment) -> Verification:
    """Make the environment true and prove it; what is true already is only looked at.

    Raises Unproven, with the verification, if the mesh is not what it should be.
    """
    with steps_of(environment) as start:
        clusters = chapters.create(start, environment)
        federation = chapters.federate(start, environment, clusters)
        mesh = chapters.install(start, environment, clusters, federation)
        sample = chapters.deploy(start, environment, clusters, federation, mesh)
        verdict = chapters.verify(start, environment, clusters, mesh.gateways, sample)
    result: Verification = verdict.result()
    result.raise_for_findings()
    return result
