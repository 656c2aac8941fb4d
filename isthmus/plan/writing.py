"""The plan as a folder: ORDER.txt tells what to do, numbered files hold what it reads."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from isthmus.adapters.diff import with_environment_label
from isthmus.environment import Environment
from isthmus.plan import header
from isthmus.plan.manual_step import FILE, ManualStep
from isthmus.plan.sequence import entries

INDENT = "   "


def write(environment: Environment, directory: Path, istioctl: Path | None) -> list[Path]:
    """Make `directory` hold ORDER.txt and a numbered file for each that it names; return all.

    Without `istioctl`, the program, all but what it would make.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = entries(environment, istioctl)
    digits = max(2, len(str(len(made))))
    files, order = [], [header.text(environment)]
    for number, entry in enumerate(made, 1):
        path = directory / f"{number:0{digits}d}-{entry.cluster}-{_slug(entry)}.yaml"
        if content := _content(entry, environment.name):
            path.write_text(content)
            files.append(path)
        order.append(f"{number:0{digits}d} {entry.cluster}: {entry.title}\n{_lines(entry, path)}")
    index = directory / "ORDER.txt"
    index.write_text("\n".join(order))
    return [index, *files]


def _slug(entry: ManualStep) -> str:
    return entry.file or re.sub(r"[^a-z0-9]+", "-", entry.title.lower())


def _lines(entry: ManualStep, path: Path) -> str:
    return "".join(f"{INDENT}{line.replace(FILE, path.name)}\n" for line in entry.commands)


def _content(entry: ManualStep, environment: str) -> str:
    objects = [with_environment_label(m, environment) for m in entry.objects]
    documents = objects or ([entry.stdin] if entry.stdin else [])
    # Through JSON: what is the same object in two places must not become an anchor in YAML.
    plain = [json.loads(json.dumps(document)) for document in documents]
    return yaml.dump_all(plain, Dumper=_Dumper, sort_keys=False, width=100) if plain else ""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of several lines as such, for a person to read."""


def _text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
