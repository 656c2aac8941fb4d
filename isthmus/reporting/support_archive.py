"""The files of `isthmus gather`: text that can be sent to anybody, and an index to read it by."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from isthmus.diagnosis import report
from isthmus.diagnosis.finding import Analyzer, DiagnosedFailure
from isthmus.diagnosis.snapshot import FILE_NAME, Object, Snapshot
from isthmus.reporting.redaction import redact

EVENTS = 200
"""Events that the index shows, the latest first; events.json has all of the snapshot's."""


class Gathered(NamedTuple):
    """What an archive is made of."""

    snapshot: Snapshot
    findings: Sequence[DiagnosedFailure]
    checks: Sequence[Analyzer]
    environment: str
    """The environment's file."""
    versions: Mapping[str, str]
    logs: Mapping[str, str]
    """File name below `logs/` -> text."""
    runs: Mapping[str, tuple[str, str]]
    """File name below `runs/` -> the record (JSON), and its time line for a person."""


def files(gathered: Gathered) -> dict[str, str]:
    """Return the archive's files, name -> text; nothing secret is in any of them."""
    snapshot, found = gathered.snapshot, gathered.findings
    events = _events(snapshot)
    made = {
        FILE_NAME: snapshot.model_dump_json(indent=1),
        "findings.json": _json(report.document(snapshot, found, gathered.checks)),
        "findings.txt": "\n".join(
            [*report.lines(found), "", report.summary(found, len(gathered.checks), snapshot), ""]
        ),
        "junit.xml": report.junit(snapshot, found, gathered.checks),
        "environment.yaml": redact(gathered.environment),
        "versions.json": _json(dict(gathered.versions)),
        "events.json": _json([{"cluster": cluster, **event} for cluster, event in events]),
        **{f"logs/{name}": redact(text) for name, text in gathered.logs.items()},
        **{f"runs/{name}": redact(record) for name, (record, _) in gathered.runs.items()},
    }
    return {"index.html": _index(gathered, events, [*made]), **made}


def _index(gathered: Gathered, events: list[tuple[str, Object]], names: list[str]) -> str:
    templates = Environment(
        loader=PackageLoader("templates", ""), undefined=StrictUndefined, autoescape=True
    )
    moment = datetime.fromtimestamp(gathered.snapshot.taken_at, UTC)
    return templates.get_template("gather/index.html.j2").render(
        name=gathered.snapshot.name,
        taken_at=f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        version=gathered.snapshot.isthmus,
        clusters=gathered.snapshot.clusters,
        findings=gathered.findings,
        summary=report.summary(gathered.findings, len(gathered.checks), gathered.snapshot),
        events=events[:EVENTS],
        runs=[(f"runs/{name}", redact(text)) for name, (_, text) in gathered.runs.items()],
        files=names,
    )


def _events(snapshot: Snapshot) -> list[tuple[str, Object]]:
    """Return the clusters' events, the latest first."""
    told = [
        (cluster.name, _event(event))
        for cluster in snapshot.clusters
        for event in cluster.objects.get("Event", [])
    ]
    return sorted(told, key=lambda entry: entry[1]["when"], reverse=True)


def _event(event: Object) -> Object:
    about = event.get("involvedObject") or {}
    return {
        "when": str(event.get("lastTimestamp") or event.get("eventTime") or ""),
        "object": f"{about.get('kind')} {about.get('namespace', '')}/{about.get('name')}",
        "type": str(event.get("type") or ""),
        "reason": str(event.get("reason") or ""),
        "message": redact(str(event.get("message") or "")),
        "count": event.get("count") or 1,
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True)
