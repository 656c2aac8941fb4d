"""Verify: look at a mesh that stands and let its regions ask each other."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import flow

from flows import stages
from flows.environment_lock import IfBusy
from flows.state_hooks import FLOW_OPTIONS, return_final_state
from flows.step_runner import run_steps
from isthmus import polling
from isthmus.environment import Environment
from isthmus.verification import Verification

EVIDENCE_SECONDS = 45.0
"""Seconds after which nothing is waited for any more; a diagnosis of what is red comes after."""
LIMITS = {"pod": 10.0, "proxies": 12.0, "endpoints": 10.0}
"""Seconds for what stands to be well: nothing was changed just now, as in a build."""


@contextmanager
def verification_limits(environment: Environment) -> Iterator[None]:
    """Let a verification of the block end within a minute, whatever is broken."""
    limits = {name: min(most, getattr(environment.timeouts, name)) for name, most in LIMITS.items()}
    shorter = environment.timeouts.model_copy(update=limits)
    with polling.use_timeouts(shorter), polling.finish_within(EVIDENCE_SECONDS):
        yield


@flow(name="verify", flow_run_name="verify {environment.name}", **FLOW_OPTIONS)
@return_final_state
def verify(environment: Environment, if_busy: IfBusy = "wait") -> Verification:
    """Return the verdict on the mesh as it is; nothing is changed.

    Raises VerificationFailed, with the verification, if the mesh is not what it should be.

    Args:
        environment: The environment to verify.
        if_busy: What to do while another run holds its lock.
    """
    with run_steps(environment, if_busy, "verify") as start, verification_limits(environment):
        clusters = stages.find(start, environment)
        gateways = stages.find_gateways(start, environment, clusters)
        verdict = stages.verify(start, environment, clusters, gateways)
        return start.verified(verdict)
