"""What istioctl makes of an IstioOperator: the mesh's manifests. No cluster is asked or changed."""

import hashlib
import json
from pathlib import Path

import yaml

from isthmus import state
from isthmus.adapters import shell
from isthmus.adapters.diff import Manifest

GENERATE = ("manifest", "generate", "-f")
"""Then comes the file with the IstioOperator, or - for standard input."""


def manifests(program: Path, operator: Manifest) -> list[Manifest]:
    """Return the objects that an IstioOperator stands for, in the order to apply them.

    The result of the same program and input is kept, as rendering takes a second.
    """
    stamp = program.stat()
    text = json.dumps(operator, sort_keys=True)
    seed = f"{program.resolve()} {stamp.st_size} {stamp.st_mtime_ns} {text}"
    kept = state.cache() / "rendered" / f"{hashlib.sha256(seed.encode()).hexdigest()[:24]}.json"
    if not kept.exists():
        printed = shell.run([program, *GENERATE, "-"], stdin=text)
        state.write_private(kept, json.dumps(_parse(printed)))
    found: list[Manifest] = json.loads(kept.read_text())
    return found


def _parse(text: str) -> list[Manifest]:
    # 10 000 lines of CRDs: PyYAML's own parser needs 8 s for them, libyaml 0.4.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, loader) if document]
