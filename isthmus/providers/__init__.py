"""Where clusters come from: one contract (ensure, access, delete), a module or folder each."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from isthmus import polling
from isthmus.environment import Environment
from isthmus.providers.base import PaidProvider, Provider

_checked: ContextVar[str] = ContextVar("checked", default="")
"""The environment, as JSON, whose check has just passed."""


def get_provider(environment: Environment) -> Provider:
    """Return the provider that the environment names."""
    # Imported here: the lab needs its toolchain's packages, the others do not.
    if environment.provider == "lab":
        from isthmus.providers.lab.provider import LabProvider

        return LabProvider(environment.stack)
    if environment.provider == "kind":
        from isthmus.providers.kind.provider import KindProvider

        return KindProvider()
    if seller := get_paid_provider(environment):
        return seller
    from isthmus.providers.kubeconfig import KubeconfigProvider

    return KubeconfigProvider()


def get_paid_provider(environment: Environment) -> PaidProvider | None:
    """Return the provider that the environment names if its clusters cost money."""
    if environment.provider != "kce":
        return None
    from isthmus.providers.kce.provider import KceProvider

    return KceProvider()


def check(environment: Environment) -> None:
    """Raise all for which the clusters cannot be had or used, before anything is changed."""
    with polling.use_timeouts(environment.timeouts):
        get_provider(environment).check(environment)


@contextmanager
def checked(environment: Environment) -> Iterator[None]:
    """Let a check of the environment that has just passed count for the block."""
    token = _checked.set(environment.model_dump_json())
    try:
        yield
    finally:
        _checked.reset(token)


def check_unless_checked(environment: Environment) -> None:
    """Do what `check` does, unless the block around knows that it has just passed."""
    if environment.model_dump_json() != _checked.get():
        check(environment)
