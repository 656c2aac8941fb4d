"""KubeFed's controllers do not run."""

from live.faults import put_back
from live.faults.objects import scale

from isthmus.environment.namespaces import KUBEFED_NAMESPACE

EXPECT = "F55"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    scale(mesh, "lisbon", "kubefed-controller-manager", 0, KUBEFED_NAMESPACE)
