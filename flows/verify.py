"""Verify: look at a mesh that stands and let its regions ask each other."""

from prefect import flow

from flows import chapters
from flows.steps import Steps
from isthmus.environment import Environment
from isthmus.verification import Verification
from tasks.clusters import find_cluster
from tasks.verify import find_gateway


@flow(name="verify", flow_run_name="verify {environment.name}")
def verify(environment: Environment) -> Verification:
    """Return the verdict on the mesh as it is; nothing is changed."""
    start = Steps()
    clusters = [start(find_cluster, environment, c) for c in environment.clusters]
    gateways = [start(find_gateway, cluster) for cluster in clusters]
    verdict = chapters.verify(start, environment, clusters, gateways)
    start.end()
    result: Verification = verdict.result()
    return result
