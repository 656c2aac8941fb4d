"""Login plugins: the program of a kubeconfig's `exec` (client-go's credential plugins)."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes.config import kube_config
from kubernetes.config.exec_provider import ExecProvider

from isthmus import polling
from isthmus.errors import Unprepared
from isthmus.step_results import Access

SAID = 300
"""Characters of a plugin's words that a person gets to see, the last ones."""


class _LimitedPlugin(ExecProvider):
    """A plugin that is ended when it takes too long; the library would wait for ever."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # On a terminal it may ask a person, which a process group in the background may not.
        ask = ["--foreground"] if sys.stdout.isatty() else []
        limit = f"{polling.timeouts().login:g}"
        self.args = ["timeout", "--kill-after=1", *ask, limit, *self.args]


# The library makes one in the middle of reading a kubeconfig, and has no place to name another.
setattr(kube_config, "ExecProvider", _LimitedPlugin)  # noqa: B010 it exports no such name


@contextmanager
def raise_plugin_errors(access: Access) -> Iterator[None]:
    """Raise what the library only logs: that the kubeconfig's `exec` gave no credentials.

    It would go on as system:anonymous. Raises Unprepared with the plugin's last words.
    """
    errors: list[str] = []
    limit, begun = polling.timeouts().login, time.monotonic()

    def hear(record: logging.LogRecord) -> bool:
        errors.append(record.getMessage())
        return False

    root = logging.getLogger()
    root.addFilter(hear)
    try:
        yield
    finally:
        root.removeFilter(hear)
    if errors:
        said = errors[-1][-SAID:]
        if time.monotonic() - begun > limit:
            said = f"it timed out after {limit:g} s (timeouts.login)"
        raise Unprepared(
            f"{access.kubeconfig}, context {access.context!r}: its credential plugin (`exec`) gave "
            f"no credentials: {said}",
            cluster=access.cluster,
            hint="log in again with your cloud's command, or try: kubectl --kubeconfig "
            f"{access.kubeconfig} --context {access.context} get --raw /version",
        )
