"""From what a person types to an environment: a file, or the name of one that was built."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus import file_lock, state
from isthmus.cli import terminal
from isthmus.errors import BadEnvironment, Findings, Usage

if TYPE_CHECKING:
    from isthmus.environment import Environment, ServiceSpec


def find(text: str) -> "Environment":
    """Return the environment that a file or a known name stands for.

    Raises BadEnvironment for a file that is missing or wrong, Usage for an unknown name.
    """
    from isthmus.environment import load

    if _is_path(text):
        return load(_existing(text))
    if text in state.environment_names():
        return load(state.stored_environment_path(text))
    if Path(text).is_file():
        return load(Path(text))
    raise Usage(f"{text}: neither a file nor an environment built here", hint=_built_names())


def with_services(
    environment: "Environment", services: Sequence[Mapping[str, Any]]
) -> "Environment":
    """Return the environment in which these services are proved, too, each once.

    Raises Usage if one is none. One that the file has, too, is asked as it is given here.
    """
    from pydantic import ValidationError

    from isthmus.environment import ServiceSpec, messages

    wanted = list(environment.verification.services)
    for fields in services:
        try:
            spec = ServiceSpec(**fields)
        except ValidationError as error:
            [first, *_] = error.errors()
            where = ".".join(map(str, first["loc"]))
            raise Usage(f"--service: {where} {messages.rule(first, ServiceSpec)}") from None
        wanted = [has for has in wanted if not _is_same(has, spec)] + [spec]
    verification = environment.verification.model_copy(update={"services": wanted})
    return environment.model_copy(update={"verification": verification})


def _is_same(has: "ServiceSpec", given: "ServiceSpec") -> bool:
    ports = {has.port, given.port}
    return has.name == given.name and (len(ports) == 1 or None in ports)


def is_deleted(text: str) -> bool:
    """Tell whether that is the name of an environment that was here once, and is no more."""
    from isthmus import environment_store

    return not (_is_path(text) or Path(text).is_file()) and environment_store.is_torn_down(text)


def save(environment: "Environment") -> None:
    """Keep a copy, so that from now on the name is enough.

    Raises BadEnvironment if that would lose sight of clusters that an earlier `up` has made, Busy
    while another run is at work on the environment.
    """
    from isthmus import environment_store

    with file_lock.acquire(environment.name):
        environment_store.save(environment)


def accept_checksums(environment: "Environment") -> None:
    """Fetch what the environment needs, pin what has no checksum, and say what was pinned."""
    from isthmus import binaries

    terminal.print_message("looking for the programs of the stack; downloading what is missing")
    for file, checksum in binaries.accept_checksums(environment).items():
        terminal.print_message(f"accepted: {file} {checksum}")


def require_built(environment: "Environment", text: str) -> None:
    """Raise Findings if no `up` has been at this environment, which the person called `text`."""
    if not state.stored_environment_path(environment.name).exists():
        raise not_built(environment, text)


def not_built(environment: "Environment", text: str) -> Findings:
    """Return the error that says so."""
    return Findings(f"{environment.name}: not built", hint=f"build it: isthmus up {text}")


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise BadEnvironment(f"{text}: no such file", hint=f"write one: isthmus init {text}")
    return path


def _is_path(text: str) -> bool:
    return "/" in text or text.endswith((".yaml", ".yml"))


def _built_names() -> str:
    names = ", ".join(state.environment_names())
    return f"built here: {names}" if names else "none built yet: isthmus init, then isthmus up FILE"
