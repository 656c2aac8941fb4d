"""A sidecar gets no news from istiod: its own way there is shut."""

from live.faults import SAMPLE, put_back
from live.faults.objects import run
from live.faults.regions import REFUSE, rule

EXPECT = "F53"
CLUSTERS = ("osaka",)
WITHIN = 120
"""Seconds: a pod that was just made is left a minute to get its table."""
mend = put_back


def break_mesh(mesh):
    chosen = ("-l", "app=helloworld", "-o=jsonpath={.items[0].status.podIP}")
    address = run(mesh, "osaka", "-n", SAMPLE, "get", "pods", *chosen)
    rule(mesh, "osaka", "FORWARD", "-s", address, "-p", "tcp", "--dport", "15012", *REFUSE)
