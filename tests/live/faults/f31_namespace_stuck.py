"""A namespace does not end: an object in it has a finalizer that nobody serves."""

import json

from live.faults import SAMPLE, note, put_back
from live.faults.objects import keep, run

EXPECT = "F31"
CLUSTERS = ("osaka",)
WITHIN = 150
"""Seconds: a deletion may take its time for one minute."""
mend = put_back


def break_mesh(mesh):
    keep(mesh, "osaka", "deployment/sleep", "service/helloworld", space=SAMPLE)
    meta = {"name": "stuck", "namespace": SAMPLE, "finalizers": ["nobody.example/serves"]}
    note(mesh, "unfinalized", cluster="osaka", space=SAMPLE, name="stuck")
    stuck = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    run(mesh, "osaka", "create", "-f", "-", given=json.dumps(stuck))
    run(mesh, "osaka", "delete", "namespace", SAMPLE, "--wait=false")
