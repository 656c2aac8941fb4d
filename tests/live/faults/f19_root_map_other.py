"""New pods of a namespace would trust another root: its ConfigMap was edited."""

import base64

from live.faults import SAMPLE, credentials, put_back
from live.faults.f23_root_map_missing import writes_no_maps
from live.faults.objects import change
from live.faults.roles import ROLE

EXPECT = "F19"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    other = credentials.cacerts(mesh, "osaka", same_root=False)["root-cert.pem"]
    data = {"root-cert.pem": base64.b64decode(other).decode()}
    change(mesh, "osaka", f"clusterrole/{ROLE}", writes_no_maps)  # or istiod would revert it
    root = "configmap/istio-ca-root-cert"
    change(mesh, "osaka", root, lambda item: item.update(data=data), SAMPLE)
