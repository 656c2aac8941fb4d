"""A remote has no Service istiod, by which its proxies find the control plane."""

from live.faults import put_back
from live.faults.f11_endpoint_wrong import istiod_slices
from live.faults.objects import delete, keep

EXPECT = "F11"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    keep(mesh, "osaka", *istiod_slices(mesh, "osaka"))
    delete(mesh, "osaka", "service/istiod")
