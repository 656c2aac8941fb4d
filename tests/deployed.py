"""What tests of deploying share: files to deploy, and what the server then has."""

from isthmus.prefect_deploy.deploy import DeployRequest, deploy

ENVIRONMENT = "{name: %s, host: {name: beijing}, remotes: [{name: shanghai}]}"


def put(folder, text, automations=None, name="prefect.yaml"):
    """Write a file to deploy, and what lies beside it; return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    if automations:
        (folder / "automations.yaml").write_text(automations)
    return path


def one(owner, deployment="build", schedules="[]", more=""):
    """Return the text of a file with one deployment of the flow build."""
    return f"""\
name: {owner}
pull: []
deployments:
- name: {deployment}
  entrypoint: flows.build.build
  parameters: {{environment: {ENVIRONMENT % owner}}}
  schedules: {schedules}
  work_pool: {{name: isthmus}}
{more}"""


def deployed(path, **order):
    """Deploy a file; return what was done to each thing, by kind and name."""
    return {(change.kind, change.name): change for change in deploy(DeployRequest(path, **order))}


def done(changes, kind=None):
    return {name: change.done for (k, name), change in changes.items() if kind in (None, k)}
