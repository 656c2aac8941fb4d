"""A quota leaves no room for one more pod."""

from live.faults import SAMPLE, put_back
from live.faults.objects import add, get
from live.faults.regions import until

EXPECT = "F42"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    meta = {"name": "small", "namespace": SAMPLE}
    kind = {"apiVersion": "v1", "kind": "ResourceQuota"}
    add(mesh, "osaka", {**kind, "metadata": meta, "spec": {"hard": {"pods": "0"}}})
    until(lambda: "status" in get(mesh, "osaka", "resourcequota/small", SAMPLE), "the quota")
