"""Paths in an environment: the same file from any folder, however far from it the run is."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

PATH_DESCRIPTIONS = {
    "kubeconfig": "a kubeconfig file",
    "archives": "an archive of images, or a folder of them",
}
"""What a path is to lead to, by the key that holds it."""


def _absolute(path: Path, info: ValidationInfo) -> Path:
    # Written from the environment file's folder: a run elsewhere must mean the same file.
    full = Path(os.path.expanduser(path))
    if path == Path() or str(full).startswith("~") or not str(full).isprintable():
        rule = f"must be the path of {PATH_DESCRIPTIONS.get(info.field_name or '', 'a file')}"
        raise PydanticCustomError("rule", rule)
    folder: Path | None = (info.context or {}).get("folder")
    if folder is None and not full.is_absolute():
        rule = "must be an absolute path: a run has no folder that it could count from"
        raise PydanticCustomError("rule", rule)
    return folder / full if folder else full


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


FilePath = Annotated[
    Path, Field(strict=False), WithJsonSchema({"type": "string", "pattern": "^[/~]"})
]
"""A path as a form may give it: a run has no folder that it could count from."""
AbsolutePath = Annotated[FilePath, AfterValidator(_absolute)]
Archives = Annotated[list[AbsolutePath], Field(min_length=1), BeforeValidator(_listed)]
"""One path, or a list of them."""
