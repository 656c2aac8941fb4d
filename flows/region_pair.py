"""Region pair: the environment of two regions, whose names follow from theirs, built and proven."""

from prefect import flow
from prefect.runtime import flow_run

from flows import build
from flows.environment_lock import IfBusy
from flows.state_hooks import FLOW_OPTIONS, return_final_state
from flows.step_runner import run_steps
from isthmus import environment as environments
from isthmus.environment import FederationMode, FilePath, ProviderName, RegionName, StackName
from isthmus.verification import Verification


def _run_name() -> str:
    given = flow_run.parameters
    return f"region-pair {environments.pair_name(given['host_region'], given['remote_region'])}"


@flow(name="region-pair", flow_run_name=_run_name, **FLOW_OPTIONS)
@return_final_state
def region_pair(
    host_region: RegionName,
    remote_region: RegionName,
    provider: ProviderName = "lab",
    stack: StackName = "istio-1.31",
    federation: FederationMode = "kubefed",
    kubeconfig: FilePath | None = None,
    if_busy: IfBusy = "wait",
) -> Verification:
    """Build the environment of two regions and verify it by traffic; what is as wanted already is
    not changed.

    Raises BadEnvironment if the two make none, and VerificationFailed, with the verification,
    if the mesh is not what it should be.

    Args:
        host_region: Where the cluster with the control plane is. The environment is called
            HOST-REMOTE after both regions.
        remote_region: Where the other cluster is; another region than the host's.
        provider: Where clusters come from: kubeconfig takes yours, the others make them where the
            run is.
        stack: The set of versions that go together.
        federation: How one object reaches every cluster: by KubeFed, or applied to each directly.
        kubeconfig: For provider kubeconfig, the absolute path of a file whose contexts are called
            like the regions.
        if_busy: What to do while another run holds the environment's lock.
    """
    choices = {"provider": provider, "stack": stack, "federation": federation}
    environment = environments.pair(host_region, remote_region, kubeconfig, **choices)
    with run_steps(environment, if_busy) as start:
        return start.verified(build.submit_build(start, environment, buy=False))
