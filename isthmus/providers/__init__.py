"""Where clusters come from: one contract (ensure, access, delete), a module or folder each."""

from isthmus.environment import Environment
from isthmus.providers.contract import Provider


def of(environment: Environment) -> Provider:
    """Return the provider that the environment names."""
    # Imported here: the lab needs its toolchain's packages, the others do not.
    if environment.provider == "lab":
        from isthmus.providers.lab.provider import Lab

        return Lab(environment.stack)
    if environment.provider == "kind":
        from isthmus.providers.kind.provider import Kind

        return Kind()
    from isthmus.providers.kubeconfig import Kubeconfig

    return Kubeconfig()
