"""Where clusters come from: one contract (ensure, access, delete), a module or folder each."""

from isthmus import polling
from isthmus.environment import Environment
from isthmus.providers.base import PaidProvider, Provider

_passed: set[str] = set()


def of(environment: Environment) -> Provider:
    """Return the provider that the environment names."""
    # Imported here: the lab needs its toolchain's packages, the others do not.
    if environment.provider == "lab":
        from isthmus.providers.lab.provider import LabProvider

        return LabProvider(environment.stack)
    if environment.provider == "kind":
        from isthmus.providers.kind.provider import KindProvider

        return KindProvider()
    if seller := seller_of(environment):
        return seller
    from isthmus.providers.kubeconfig import KubeconfigProvider

    return KubeconfigProvider()


def seller_of(environment: Environment) -> PaidProvider | None:
    """Return the provider that the environment names if its clusters cost money."""
    if environment.provider != "kce":
        return None
    from isthmus.providers.kce.provider import KceProvider

    return KceProvider()


def check(environment: Environment) -> None:
    """Raise all for which the clusters cannot be had or used, before anything is changed."""
    with polling.within(environment.timeouts):
        of(environment).check(environment)
    _passed.add(environment.model_dump_json())


def check_once(environment: Environment) -> None:
    """Do the same, unless this process has just done it: then what it found counts once."""
    text = environment.model_dump_json()
    if text in _passed:
        _passed.discard(text)
    else:
        of(environment).check(environment)
