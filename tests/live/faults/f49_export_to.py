"""The host's Service is exported to its own namespace's callers, and to none."""

from live.faults import SAMPLE, put_back
from live.faults.objects import change

EXPECT = "F49"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    for cluster in ("lisbon", "nairobi", "osaka"):
        change(mesh, cluster, "service/helloworld", exported_to_nobody, SAMPLE)


def exported_to_nobody(service):
    notes = service["metadata"].setdefault("annotations", {})
    notes["networking.istio.io/exportTo"] = "~"
