"""What became of the run, for whoever looks next morning: what failed first, and what to do."""

from collections.abc import Iterator

from isthmus.reporting.escape import block, paragraph, prose, single_line
from isthmus.reporting.run_report import RunFailure, RunReport
from isthmus.verification import Finding

MAX_LISTED = 20
"""Findings and failed steps that are listed."""
_COMMAND = ". Type: "
"""What stands before the command in a finding's text (isthmus.verification.finding_text)."""
DONE = {
    "up": "is one mesh, proven by traffic",
    "verify": "is one mesh",
    "diagnose": "shows no failure",
    "down": "is deleted",
}


def text(story: RunReport) -> str:
    """Return the page as Markdown."""
    parts = _success(story) if story.is_success else _failure(story)
    return "\n".join([*parts, *_where(story)])


def resume(story: RunReport) -> str:
    """Return the command that goes on where the run ended."""
    return f"isthmus {story.verb} {story.environment}"


def _success(story: RunReport) -> Iterator[str]:
    name = story.environment
    yield f"## {prose(name)} {DONE.get(story.verb, 'is done')}\n"
    yield f"`{single_line(story.verb)}` took {story.seconds:.1f} s.{_traffic(story)}\n"
    yield "### Next\n"
    if story.verb == "down":
        yield "To have it again: `isthmus up` with the file that describes it.\n"
    else:
        yield block(f"isthmus status {name}\nexport KUBECONFIG=$(isthmus kubeconfig {name})")


def _traffic(story: RunReport) -> str:
    clients = list(story.facts.clients.values())
    if not clients:
        return ""
    requests = sum(client.requests for client in clients)
    return f" {len(clients)} regions sent {requests} requests; each was answered as expected."


def _failure(story: RunReport) -> Iterator[str]:
    failure = story.failure or RunFailure(f"{story.environment} is not one mesh", "verify")
    yield f"## {prose(story.environment)}: {_place(story, failure)}\n"
    findings = story.facts.findings
    # The message of an unproven mesh lists the findings, which come below with more room.
    first, *_ = failure.reason.splitlines() or ["no reason given"]
    yield paragraph(first.rstrip(":") if findings else failure.reason or first)
    yield f"### What to do\n\n{paragraph(failure.hint or _default_hint(story, failure))}"
    yield from _resume_section(story)
    if findings:
        yield "### Findings\n"
        yield from (_finding(finding) for finding in findings[:MAX_LISTED])
    yield from _others(story, failure)


def _place(story: RunReport, failure: RunFailure) -> str:
    where = f" at step {prose(failure.step)}" if failure.step else ""
    cluster = f" of {prose(failure.cluster)}" if failure.cluster else ""
    return f"`{single_line(story.verb)}` failed{where}{cluster} after {story.seconds:.1f} s"


def _default_hint(story: RunReport, failure: RunFailure) -> str:
    """Return where one looks first if the failure itself does not say it."""
    where = f"how {failure.cluster} is" if failure.cluster else "what is there"
    return f"see {where}: isthmus status {story.environment}; the log of the run has each step"


def _resume_section(story: RunReport) -> Iterator[str]:
    yield "### Resume\n"
    if story.run.deployed:
        yield f"Retry {_link(story, 'this run')}: it goes on at the step that failed. Or type:\n"
    else:
        yield "Run this; what is done already is only checked:\n"
    mend = f"isthmus up {story.environment}    # mends what is Isthmus' own\n"
    yield block((mend if story.verb == "verify" and story.facts.findings else "") + resume(story))


def _finding(finding: Finding) -> str:
    evidence, _, command = finding.text.rpartition(_COMMAND)
    told = f"**{prose(finding.kind)}** ({prose(finding.about)}): {prose(evidence or command)}\n"
    return f"{told}\n{block(command)}" if evidence else told


def _others(story: RunReport, failure: RunFailure) -> Iterator[str]:
    """Yield the steps that failed besides the one that is told above."""
    told = (failure.step, failure.cluster)
    others = [step for step in story.failed_steps if (step.name, step.cluster or "") != told]
    if others:
        yield "### Failed too\n"
        yield from (f"- **{prose(s.label)}**: {prose(s.text)}" for s in others[:MAX_LISTED])
        yield ""


def _where(story: RunReport) -> Iterator[str]:
    yield f"Run {_link(story, story.run.name)}, ended {story.ended_at}."


def _link(story: RunReport, text: str) -> str:
    return f"[{prose(text)}]({story.run.link})" if story.run.link else prose(text)
