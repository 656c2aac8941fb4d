"""Verify: look at a mesh that stands and let its regions ask each other."""

from prefect import flow

from flows import chapters
from flows.steps import steps_of
from isthmus.environment import Environment
from isthmus.verification import Verification


@flow(name="verify", flow_run_name="verify {environment.name}")
def verify(environment: Environment) -> Verification:
    """Return the verdict on the mesh as it is; nothing is changed.

    Raises Unproven, with the verification, if the mesh is not what it should be.
    """
    with steps_of(environment) as start:
        clusters = chapters.find(start, environment)
        gateways = chapters.find_gateways(start, clusters)
        verdict = chapters.verify(start, environment, clusters, gateways)
    result: Verification = verdict.result()
    result.raise_for_findings()
    return result
