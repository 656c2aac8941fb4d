"""Diagnosis: a snapshot of all clusters, and the causes that it shows."""

from isthmus import events, polling
from isthmus.collectors import mesh
from isthmus.diagnosis import analysis, causes, report
from isthmus.diagnosis.diagnosis import Diagnosis
from isthmus.environment import Environment
from isthmus.errors import Stopped
from isthmus.verification import Finding, Verification
from tasks.policies import step

SECONDS = 12.0
"""Seconds that a snapshot for a red verdict may take."""
MOST = 5
"""Root causes that a red verdict names; `isthmus diagnose` names all."""


@step("diagnose", looks=True)
def diagnose(environment: Environment) -> Diagnosis:
    """Return all failures that the clusters show now, root causes first."""
    return analysis.diagnose(mesh.take_snapshot(environment), analysis.select())


def explain(environment: Environment, verdict: Verification) -> Verification:
    """Return a red verdict with the root causes that the clusters show now, if they show some.

    A diagnosis that fails takes nothing from the verdict.
    """
    try:
        with polling.finish_within(SECONDS):
            snapshot = mesh.take_snapshot(environment)
        made = analysis.diagnose(snapshot, analysis.select())
    except Stopped:
        raise
    except Exception as error:
        events.report_progress(f"no diagnosis: {type(error).__name__}: {error}")
        return verdict
    roots = [f for f in causes.roots(made.findings) if f.severity == "error"][:MOST]
    named = tuple(
        Finding(kind=f.id, about=f.clusters[0] if f.clusters else "", text=report.sentence(f))
        for f in roots
    )
    page = f"{report.page(made.findings)}\n{made.summary}"
    return verdict.model_copy(update={"causes": named, "diagnosis": page})
