"""Regions: those that a form offers, and the environment that two of them make."""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from isthmus.environment.messages import rule
from isthmus.environment.models import Environment
from isthmus.errors import BadEnvironment


def pair(
    host_region: str, remote_region: str, kubeconfig: Path | None = None, **choices: Any
) -> Environment:
    """Return the environment of two regions; its name and its clusters' names follow from them.

    `kubeconfig` is a file whose contexts have the clusters' names. `choices` are other keys of the
    environment. Raises BadEnvironment with the rule that the regions or the choices break.
    """
    if host_region == remote_region:
        raise BadEnvironment(
            f"remote_region: must be another region than the host's (got '{remote_region}')",
            hint="choose two regions, then start the run again",
        )
    host, remote = (_cluster(region, kubeconfig) for region in (host_region, remote_region))
    data = {"name": name(host_region, remote_region), "host": host, "remotes": [remote], **choices}
    try:
        return Environment.model_validate(data)
    except ValidationError as error:
        found = [f"{_parameter(e['loc'])}: {rule(e)}" for e in error.errors(include_url=False)]
        hint = "correct the run's parameters, then start it again"
        raise BadEnvironment("\n".join(dict.fromkeys(found)), hint=hint) from None


def name(host_region: str, remote_region: str) -> str:
    """Return the name of the environment of two regions."""
    return f"{_label(host_region)}-{_label(remote_region)}"


def _cluster(region: str, kubeconfig: Path | None) -> dict[str, Any]:
    place = {"kubeconfig": kubeconfig, "context": _label(region)} if kubeconfig else {}
    return {"name": _label(region), "region": region, **place}


def _label(region: str) -> str:
    return re.sub("[^a-z0-9]+", "-", region.lower()).strip("-")


def _parameter(where: tuple[int | str, ...]) -> str:
    """Return which parameter a place of the environment comes from."""
    if "kubeconfig" in where or "context" in where:
        return "kubeconfig"
    both = "host_region and remote_region together"
    places = {"host": "host_region", "remotes": "remote_region", "name": both}
    return places.get(str(where[0]), str(where[0])) if where else "parameters"
