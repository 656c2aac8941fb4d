"""How long a reason must stand until it is believed that time will not mend it.

A quota may be full for the moment of a pod's end, and a first pull may come before its secret. A
pod that no node takes is taken by a new one, if something adds nodes: that is asked of the nodes
and of what is told of the pod, once the reason has stood for a while.
"""

import time
from collections.abc import Callable

from isthmus import polling
from isthmus.adapters import unschedulable
from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube
from isthmus.adapters.pod_failures import PodFailure
from isthmus.errors import Unprepared

DEBOUNCE_SECONDS = 6.0
"""Seconds for which a reason must stand."""
CHECK_INTERVAL = 1.0
"""Seconds from one look for reasons to the next: a look lists pods or events."""


class FailureDebouncer:
    """The reason for which something in a cluster does not come to be, and since when."""

    def __init__(self, client: Kube, what: str) -> None:
        self._client, self._what = client, what
        self._since = 0.0
        self._next_look = self._next_judgement = 0.0

    def check(self, reason: Callable[[], PodFailure | None]) -> None:
        """Raise Unprepared, in the cluster's words, once there is a reason that has stood."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + CHECK_INTERVAL
        failure = reason()
        if failure is None:
            self._since = 0.0
        elif not self._since:
            self._since, self._next_judgement = now, now + DEBOUNCE_SECONDS
        elif now >= self._next_judgement and now - self._since >= self._needed(failure):
            text = self._what + failure.message
            raise Unprepared(text, cluster=self._client.access.cluster, hint=failure.hint)

    def _needed(self, failure: PodFailure) -> float:
        """Return for how many seconds it must have stood; nodes are asked once in a while."""
        self._next_judgement = time.monotonic() + DEBOUNCE_SECONDS
        if not (pod := failure.pod):
            return DEBOUNCE_SECONDS
        events = events_about(self._client, "Pod", pod["metadata"])
        nodes, room = self._client.objects("Node"), polling.timeouts().scheduling
        patience = unschedulable.required_seconds(failure.message, nodes, events, room)
        return max(DEBOUNCE_SECONDS, patience)


def events_about(client: Kube, kind: str, meta: Manifest) -> list[Manifest]:
    """Return what is told of one object."""
    found = client.objects("Event", meta.get("namespace", ""))
    about = [(e, e.get("involvedObject", {})) for e in found]
    return [e for e, o in about if (o.get("kind"), o.get("name")) == (kind, meta["name"])]
