"""Environment files for tests."""

import json
from pathlib import Path

import yaml


def write(path: Path, **content: object) -> Path:
    # By way of JSON: YAML would write what occurs twice as an alias, which files may not hold.
    path.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False))
    return path
