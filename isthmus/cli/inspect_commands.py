"""The verbs that ask no cluster: validate, render, kubeconfig, init, version."""

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

import isthmus
from isthmus import state
from isthmus.cli import environment_argument, options, terminal
from isthmus.errors import Usage

if TYPE_CHECKING:
    from isthmus.environment import Environment


@click.command()
@options.environment
@options.as_json
def validate(env: str, output: str) -> None:
    """Check the environment file ENV; nothing is touched."""
    environment = environment_argument.find(env)
    names = [cluster.name for cluster in environment.clusters]
    if output == "json":
        fields = {"environment": environment.name, "clusters": names, "verdict": "pass"}
        return terminal.document("Validation", fields)
    choice = f"provider {environment.provider}, stack {environment.stack}"
    terminal.print_result(f"{environment.name}: valid; {', '.join(names)}; {choice}")


@click.command(short_help="Write the manifests of ENV to a folder, or list its images.")
@options.environment
@options.as_json
@click.option(
    "--to", "directory", metavar="DIR", type=click.Path(path_type=Path),
    help="The folder to write to; made if it is not there.",
)  # fmt: skip
@options.accept_checksum
@click.option("--images", is_flag=True, help="Print the images that a build runs, one a line.")
def render(
    env: str, output: str, directory: Path | None, accept_checksum: bool, images: bool
) -> None:
    """Write the manifests of ENV to a folder; no cluster is asked, no secret is written.

    With --images: print the name of every image that a build of ENV runs.
    """
    if images == (directory is not None):
        raise Usage(
            "say what to render",
            hint=f"isthmus render {env} --to DIR, or isthmus render {env} --images",
        )
    environment = environment_argument.find(env)
    if directory is None:
        return _list_images(environment, output)
    if accept_checksum:
        environment_argument.accept_checksums(environment)
    _write(environment, output, directory)


def _list_images(environment: "Environment", output: str) -> None:
    from isthmus import plan

    names = plan.image_names(environment)
    if output == "json":
        return terminal.document("Images", {"environment": environment.name, "images": names})
    terminal.print_result("\n".join(names))


def _write(environment: "Environment", output: str, directory: Path) -> None:
    from isthmus import plan

    istioctl, why = plan.find_istioctl(environment)
    try:
        files = [str(path) for path in plan.write(environment, directory, istioctl)]
    except OSError as error:
        raise Usage(f"{directory}: {error.strerror}", hint="choose another: --to DIR") from None
    if why:
        terminal.print_message(f"what istioctl makes is left out, and ORDER.txt says where: {why}")
    if output == "json":
        fields = {"environment": environment.name, "directory": str(directory), "files": files}
        return terminal.document("Rendering", fields)
    terminal.print_result("\n".join(files))


@click.command(short_help="Print the path of ENV's kubeconfig.")
@options.environment
@options.as_json
def kubeconfig(env: str, output: str) -> None:
    """Print the path of ENV's kubeconfig; its contexts are the clusters' names."""
    environment = environment_argument.find(env)
    environment_argument.require_built(environment, env)
    path = state.folder(environment.name) / "kubeconfig"
    if not path.exists():
        raise environment_argument.not_built(environment, env)
    if output == "json":
        contexts = [cluster.name for cluster in environment.clusters]
        fields = {"environment": environment.name, "path": str(path), "contexts": contexts}
        return terminal.document("Kubeconfig", fields)
    terminal.print_result(str(path))


@click.command(short_help="Write a first environment file.")
@click.argument("file", default="isthmus.yaml", type=click.Path(path_type=Path))
def init(file: Path) -> None:
    """Write a first environment file, isthmus.yaml unless FILE says otherwise."""
    from isthmus.environment import example

    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(example())
    except FileExistsError:
        hint = "choose another name: isthmus init FILE"
        raise Usage(f"{file}: exists already and is left as it is", hint=hint) from None
    except OSError as error:
        raise Usage(f"{file}: cannot be written: {error.strerror}") from None
    terminal.print_result(str(file))
    terminal.print_message(f"next: isthmus up {file}")


@click.command()
@options.as_json
def version(output: str) -> None:
    """Print the versions of Isthmus and of what it builds."""
    fields = versions()
    if output == "json":
        return terminal.document("Version", {**fields, "stacks": _stacks()})
    lines = [f"{name} {number}" for name, number in fields.items()]
    for name, parts in _stacks().items():
        lines.append(f"{name}: {', '.join(f'{part} {number}' for part, number in parts.items())}")
    terminal.print_result("\n".join(lines))


def versions() -> dict[str, str]:
    """Return the versions of what runs here."""
    return {
        "isthmus": isthmus.__version__,
        "prefect": metadata.version("prefect"),
        "python": platform.python_version(),
    }


def _stacks() -> dict[str, dict[str, str]]:
    from isthmus import stacks

    return {name: stacks.load(name).versions.model_dump() for name in stacks.names()}
