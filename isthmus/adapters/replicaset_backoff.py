"""Pods that a webhook of the mesh's own refused: they are made once it is up, and not much later.

A ReplicaSet whose pods are refused in quick succession tries again only after up to 1000 s.
Source: client-go util/workqueue, DefaultTypedControllerRateLimiter.
"""

import time

from isthmus.adapters.diff import Manifest
from isthmus.adapters.kube import Kube

TRIED = "isthmus/tried-again"
"""Annotation of a Deployment: when it was had to try again, in seconds of Unix time."""
PAUSE = 5
"""Seconds from one such try to the next."""


def try_again(client: Kube, deployment: Manifest) -> None:
    """Have the Deployment's pods made now, unless that was tried a moment ago.

    Its annotations become its ReplicaSet's, and one that changes is looked at at once (k8s.io/
    kubernetes pkg/controller/deployment/util, SetNewReplicaSetAnnotations; pkg/controller/
    replicaset, updateRS).
    """
    meta = deployment["metadata"]
    now, last = int(time.time()), (meta.get("annotations") or {}).get(TRIED, "")
    if last.isdecimal() and 0 <= now - int(last) < PAUSE:
        return
    patch = {"metadata": {"annotations": {TRIED: str(now)}}}
    client.merge_patch("Deployment", meta["name"], patch, meta["namespace"], "apps/v1")
