"""Environment files for tests."""

from pathlib import Path

import yaml


def write(path: Path, **content: object) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
