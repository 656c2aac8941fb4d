"""What the documentation claims is so: commands, links, files, keys, exit codes, messages."""

import ast
import json
import re
import subprocess
from pathlib import Path
from types import NoneType
from typing import get_args

import click
import pytest
import yaml
from pydantic import BaseModel

from isthmus import errors, verification
from isthmus.cli import interruptible
from isthmus.cli.main import isthmus as group
from isthmus.environment import Environment, load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
OPERATING = ROOT / "docs/operating.md"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GIVEN = {0: "well", 1: "internal", 130: "interrupted"}
"""Exit codes that are no error's own."""
REGISTRIES = re.compile(
    r"docker[.]io(?!/isthmus-lab)|quay[.]io|g(?:hc|c)r[.]io|registry[.](?:k8s|istio)[.]io|"
    r"[\w.]*docker[.]com|pypi[.]org|pythonhosted[.]org|proxy[.]golang[.]org|sum[.]golang[.]org|"
    r"deb[.]debian[.]org|--(?:extra-)?index[-]url|--trusted[-]host"
)
"""Where images and packages come from is the stack's word, or the machine's own setting.

The lab's images exist in no registry, whatever their name looks like; and that names without a
host are Docker Hub's is a rule of names (isthmus/images/names.py).
"""
PLACES = re.compile(r"(?<![\w.}])/(?:work|root|home|Users)/(?!somebody\b)\w+")


def by_name(page):
    return page.name


def commands(command, path=("isthmus",)):
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(group))


def flags_of(name: str) -> set[str]:
    found = (*COMMANDS[name].params, *group.params)
    return {"--help", *(o for p in found for o in (*p.opts, *p.secondary_opts) if o[:2] == "--")}


def tracked() -> list[Path]:
    """Return the project's files, new ones too, whether or not they are committed yet."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [p for p in (ROOT / name for name in done.stdout.split("\0") if name) if p.is_file()]


def sources() -> list[Path]:
    folders = ("isthmus", "flows", "tasks", "bench")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def literals(path: Path) -> list[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def code_of(page: Path) -> str:
    """Return what a page shows as code: fenced, indented, or between backticks."""
    text = page.read_text()
    parts = [block for _, block in FENCED.findall(text)]
    rest = FENCED.sub("", text)
    parts += re.findall(r"^    .*$", rest, re.MULTILINE) + re.findall(r"`([^`\n]+)`", rest)
    return "\n".join(parts)


def typed(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of ours in a text, as far as it names known words, with its flags."""
    found = []
    for line in re.findall(r"(?:^|[^\w./-])isthmus ([a-z][^\n`]*)", text, re.MULTILINE):
        words = line.split("#")[0].split()
        name = f"isthmus {words[0]}"
        if len(words) > 1 and f"{name} {words[1]}" in COMMANDS:
            name += f" {words[1]}"
        found.append((name, re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)))
    return found


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_command_and_flag_that_a_page_shows_exists(page):
    for name, flags in typed(code_of(page)):
        assert name in COMMANDS, f"{page.name}: {name}"
        assert set(flags) <= flags_of(name), f"{page.name}: {name} {flags}"


def test_pages_show_every_verb():
    shown = {name.split()[1] for page in PAGES for name, _ in typed(code_of(page))}
    assert shown == set(group.commands)


def test_every_command_and_flag_in_a_hint_or_help_exists():
    found = [pair for path in sources() for text in literals(path) for pair in typed(text)]
    help_texts = [c.get_help(click.Context(c, info_name=n)) for n, c in COMMANDS.items()]
    found += [pair for text in help_texts for pair in typed(text) if pair[0] in COMMANDS]
    known = [pair for pair in found if pair[0] in COMMANDS]
    assert len(known) > 20
    for name, flags in known:
        assert set(flags) <= flags_of(name), f"{name} {flags}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    text = FENCED.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    text = FENCED.sub("", page.read_text())
    inline = re.findall(r"\]\(([^)\s]+)\)", text)
    return inline + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_within_the_project_leads_somewhere(page):
    for link in links(page):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_can_be_reached_from_the_readme():
    seen, new = set(), {PAGES[0]}
    while new:
        seen |= new
        targets = {(p.parent / link.split("#")[0]).resolve() for p in new for link in links(p)}
        new = {t for t in targets if t in PAGES} - seen
    # Its own maker writes the bench's page, and not on every machine.
    assert {*PAGES} - seen <= {ROOT / "docs/bench.md"}


def environments() -> list[tuple[str, str]]:
    blocks = [(p.name, text) for p in PAGES for _, text in FENCED.findall(p.read_text())]
    files = [(p.name, p.read_text()) for p in sorted((ROOT / "deployments").glob("*.yaml"))]
    return [(n, t) for n, t in [*blocks, *files] if re.search(r"^(host|remotes):", t, re.MULTILINE)]


@pytest.mark.parametrize(("name", "text"), environments())
def test_every_environment_that_is_shown_loads(tmp_path, name, text):
    path = tmp_path / "shown.yaml"
    path.write_text(text)
    assert load(path).name


def test_the_pages_show_environments_at_all():
    assert {"README.md", "environment.md", "lab.yaml"} <= {name for name, _ in environments()}


def keys(model: type[BaseModel], before: str = "") -> dict[str, object]:
    """Return every key of the file with its default, `host.name` for a cluster's."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        parts = [field.annotation, *get_args(field.annotation)]
        inner = [p for p in parts if isinstance(p, type) and issubclass(p, BaseModel)]
        if inner:
            found |= keys(inner[0], f"{before}{name}.")
        else:
            found[before + name] = field.get_default()
    return found


@pytest.mark.parametrize(("key", "default"), keys(Environment).items())
def test_every_key_of_the_file_is_described_with_its_default(key, default):
    page = (ROOT / "docs/environment.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|") and f"`{key}`" in line]
    assert rows, f"{key} is not described"
    if isinstance(default, str | int | float):
        assert f"`{default}`" in rows[0], f"{key}: default {default}"
    for choice in get_args(Environment.model_fields[key].annotation if "." not in key else None):
        assert choice is NoneType or f"`{choice}`" in rows[0], f"{key}: {choice}"


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    after = page.read_text().split(f"# {heading}\n", 1)[1]
    block = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    rows = block[0].splitlines()[2:] if block else []
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def types_of_error() -> dict[str, type[errors.IsthmusError]]:
    places = (errors, interruptible, verification)
    found = [v for place in places for v in vars(place).values() if isinstance(v, type)]
    return {t.__name__: t for t in found if issubclass(t, errors.IsthmusError)}


def test_the_table_of_exit_codes_is_what_errors_end_with():
    rows = {
        int(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in table(OPERATING, "Exit codes")
    }
    ours = {name: t for name, t in types_of_error().items() if name != "Abandoned"}
    expected = {code: {n for n, t in ours.items() if t.exit_code == code} for code in rows}
    assert rows == expected
    assert set(rows) == {*GIVEN, *(t.exit_code for t in ours.values())}


def test_readme_and_help_name_the_same_exit_codes():
    codes = {str(row) for row in {*GIVEN, *(t.exit_code for t in types_of_error().values())}}
    help_text = COMMANDS["isthmus"].help or ""
    assert set(re.findall(r"\b\d+\b", help_text.split("Exit codes:")[1])) == codes
    readme = {code for row in table(PAGES[0], "The verbs") for code in row[2].split()}
    assert readme <= codes - {"0"}
    explained = PAGES[0].read_text().split("or the name of an environment already built. ")[1]
    assert set(re.findall(r"\b(\d+) [a-z]", explained.split("`-o json`")[0])) == codes - {"0"}


def test_every_document_that_is_printed_is_described():
    printed = {
        node.args[0].value
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "document"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    page = OPERATING.read_text()
    assert len(printed) > 6
    described = set(re.findall(r"^### (\w+)$|^\| `(\w+)` \|", page, re.MULTILINE))
    assert printed <= {a or b for a, b in described}


def test_documents_that_are_shown_are_as_they_are_printed():
    shown = [
        json.loads(text) for lang, text in FENCED.findall(OPERATING.read_text()) if lang == "json"
    ]
    assert {d["kind"] for d in shown} == {"Verification", "Status"}
    for document in shown:
        assert document["apiVersion"] == "isthmus/v1"
        assert list(document) == sorted(document)
    [found] = [d for d in shown if d["kind"] == "Verification"]
    client = verification.ClientVerdict(
        cluster="a", requests=1, failed=0, answers={}, expected={},
        observed_endpoints=[], expected_endpoints=[],
    )  # fmt: skip
    printed = verification.Verification(environment="pair", clients=[client]).document()
    assert set(found) == set(printed)
    assert set(found["clients"][0]) == set(printed["clients"][0])


def test_every_message_in_the_troubleshooting_table_is_one_that_we_print():
    said = [text for path in sources() for text in literals(path)]
    rows = table(OPERATING, "Troubleshooting")
    assert len(rows) > 25
    for message, *_ in rows:
        for part in filter(str.strip, message.strip("`").split("…")):
            assert any(part.strip() in text for text in said), f"{message}: {part!r}"


def test_every_kind_of_reason_is_described_and_no_other():
    given = set()
    for name in ("endpoint_findings.py", "traffic_findings.py"):
        for node in ast.walk(ast.parse((ROOT / "isthmus/verification" / name).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "make_finding":
                kinds = ast.walk(node.args[0])
                given |= {n.value for n in kinds if isinstance(n, ast.Constant)}
    described = {row[0].strip("`") for row in table(ROOT / "docs/verification.md", "Reasons")}
    assert described == given


def test_the_bounds_that_are_shown_are_those_that_are_computed():
    rows = table(ROOT / "docs/verification.md", "The statistics")
    assert len(rows) > 4
    for n, share, allowed, *_ in rows:
        part, whole = share.split("/")
        low, high = verification.bound(int(n), int(part) / int(whole))
        assert allowed == f"{low} to {high}"


def test_no_file_names_a_home_a_workplace_or_a_registry():
    found = []
    for path in tracked():
        name = str(path.relative_to(ROOT))
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong = PLACES.findall(text)
        if not re.match(r"isthmus/stacks/[^/]+\.yaml$|isthmus/images/names\.py$|.*go\.sum$", name):
            wrong += REGISTRIES.findall(text)
        found += [f"{name}: {text}" for text in wrong]
    assert found == []


def test_the_makefile_has_the_goals_that_pages_name():
    goals = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    whole = re.compile(r"^\s*make ([a-z]+)\s*(?:#.*)?$", re.MULTILINE)
    named = {goal for page in PAGES for goal in whole.findall(code_of(page))}
    assert {"up", "test"} <= named <= goals


def test_every_block_of_yaml_that_is_shown_is_yaml():
    blocks = [text for p in PAGES for lang, text in FENCED.findall(p.read_text()) if lang == "yaml"]
    assert all(isinstance(yaml.safe_load(block), dict) for block in blocks)
