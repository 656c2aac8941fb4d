"""What docs/diagnosis.md says of the checks is so, and what checks say to type can be typed."""

import ast
import re
from pathlib import Path

import pytest

from isthmus.cli.main import isthmus as group
from isthmus.diagnosis import report
from isthmus.diagnosis.analyzers import ANALYZERS
from isthmus.diagnosis.finding import DiagnosedFailure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / report.PAGE
ANCHOR = re.compile(r'^<a id="([^"]+)"></a>$', re.MULTILINE)
ENTRY = re.compile(r'^<a id="(f\d+)"></a>\n### (F\d+) (.+)\n\n((?:[- ] .+\n)+)', re.MULTILINE)
"""An anchor, its heading right below it, and the list below that."""
LINES = ("- Shows: ", "- Seen: ", "- Mended:")
COMMAND = re.compile(r"`(?:kubectl|isthmus|kubeadm|systemctl|echo|sleep) [^`\n]+`")
NO_COMMAND = {"F13", "F36"}
"""What is mended in the environment file, and what is mended as another one is."""


def entries() -> dict[str, tuple[str, str, str]]:
    """Return id -> anchor, title, and the lines below, of each failure on the page."""
    found = ENTRY.findall(PAGE.read_text())
    return {failure: (anchor, title, lines) for anchor, failure, title, lines in found}


def texts(path: Path) -> list[str]:
    """Return what a module says: its strings, docstrings and parts of f-strings among them."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def said() -> list[tuple[str, str]]:
    folder = ROOT / "isthmus/diagnosis"
    paths = sorted(folder.rglob("*.py"))
    return [(str(p.relative_to(ROOT)), text) for p in paths for text in texts(p)]


def test_there_are_checks_and_each_id_is_there_once():
    ids = [check.id for check in ANALYZERS]
    assert len(ids) > 40
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("check", ANALYZERS, ids=lambda check: check.id)
def test_every_check_has_its_anchor_and_its_title(check):
    anchor, title, _ = entries()[check.id]
    assert anchor == check.id.lower()
    assert title == check.title


def test_no_anchor_and_no_heading_is_there_for_a_check_that_does_not_exist():
    text = PAGE.read_text()
    ids = [check.id for check in ANALYZERS]
    assert ANCHOR.findall(text) == [each.lower() for each in ids]
    assert re.findall(r"^#+ (F\d+)\b", text, re.MULTILINE) == ids


def test_every_id_that_the_page_names_is_one_of_a_check():
    named = set(re.findall(r"\bF\d\d\b", PAGE.read_text()))
    assert named == {check.id for check in ANALYZERS}


@pytest.mark.parametrize("check", ANALYZERS, ids=lambda check: check.id)
def test_every_failure_is_told_in_three_lines_the_last_with_a_command(check):
    _, _, lines = entries()[check.id]
    points = re.findall(r"^- .*(?:\n  .*)*", lines, re.MULTILINE)
    assert len(points) == len(LINES)
    assert all(point.startswith(begin) for point, begin in zip(points, LINES, strict=True))
    assert check.id in NO_COMMAND or COMMAND.search(points[-1]), points[-1]


@pytest.mark.parametrize("check", ANALYZERS, ids=lambda check: check.id)
def test_every_link_that_a_finding_can_have_leads_to_an_anchor(check):
    path, _, anchor = report.link(check.id).partition("#")
    assert anchor in ANCHOR.findall((ROOT / path).read_text())


def test_every_command_of_ours_that_checks_name_is_one():
    found = [
        (path, verb)
        for path, text in said()
        for verb in re.findall(r"(?<![\w./-])isthmus ([a-z]+)\b", text)
    ]
    assert {"up", "down", "verify"} <= {verb for _, verb in found}
    wrong = [(path, verb) for path, verb in found if verb not in group.commands]
    assert wrong == []


def test_every_field_of_the_document_is_described():
    table = PAGE.read_text().split("## JSON\n", 1)[1].split("\n## ", 1)[0]
    described = {name for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
                 for name in re.findall(r"`(\w+)`", row)}  # fmt: skip
    failure = DiagnosedFailure(
        id="F33", title="", severity="error", clusters=("a",), evidence=(), cause="", fix=""
    )
    printed = report.document(_empty(), [failure], ANALYZERS)
    assert described == {*printed, *printed["findings"][0]}


def test_the_example_has_as_many_checks_as_there_are():
    [number] = re.findall(r"\((\d+) checks, ", PAGE.read_text())
    assert int(number) == len(ANALYZERS)


def test_the_place_for_recall_and_precision_is_marked():
    assert re.search(r"^<!-- recall -->$.*^<!-- /recall -->$", PAGE.read_text(), re.M | re.S)


def _empty():
    from isthmus.diagnosis.snapshot import ClusterSnapshot, Snapshot

    return Snapshot(taken_at=0.0, environment={}, clusters=[ClusterSnapshot(name="a", host=True)])
