"""The federated object of cacerts is gone; the members keep theirs."""

from live.faults import put_back
from live.faults.objects import change, delete, keep

EXPECT = "F55"
CLUSTERS = ("lisbon",)
mend = put_back


def break_mesh(mesh):
    keep(mesh, "lisbon", "secret/cacerts")
    change(mesh, "lisbon", "federatedsecret/cacerts", orphaning)
    delete(mesh, "lisbon", "federatedsecret/cacerts")


def orphaning(item):
    item["metadata"].setdefault("annotations", {})["kubefed.io/orphan"] = "true"
