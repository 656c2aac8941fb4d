"""Environments as text: what `isthmus init` writes, and a copy that means the same anywhere."""

import yaml

from isthmus.environment.models import Environment

EXAMPLE = """\
# One environment: clusters in several regions that become one federation and one Istio mesh.
# Build it: isthmus up FILE. What is left out has a default that is right for a first run.
name: {name}
provider: lab                  # regions on this machine; or: kubeconfig (clusters that exist),
#                                kce (bought from Kingsoft Cloud), kind (containers of your Docker)
stack: istio-1.31              # the versions that go together; or: guide (Istio 1.7.2)
federation: kubefed            # or: direct (apply to every cluster; no KubeFed)

# The host has the control plane, every other cluster is a remote. Each has a network of its own.
host:    {{name: beijing,  region: cn-beijing-6,  network: network1}}
remotes: [{{name: shanghai, region: cn-shanghai-2, network: network2}}]

# Requests that each cluster sends to prove the mesh, and the seconds that one may take.
# verification: {{requests: 100, timeout: 10}}
"""


def example(name: str = "beijing-shanghai") -> str:
    """Return the text of a first environment file: two regions on this machine."""
    return EXAMPLE.format(name=name)


def dumps(environment: Environment) -> str:
    """Return the text of a file that loads as the same environment from any folder."""
    data = environment.model_dump(mode="json")
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
