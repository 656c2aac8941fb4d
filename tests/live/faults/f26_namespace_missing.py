"""The namespace of the service is placed in every cluster but one."""

from live.faults import SAMPLE, placements, put_back
from live.faults.objects import keep, run
from live.faults.regions import until

EXPECT = "F26"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    keep(mesh, "osaka", "deployment/sleep", "service/helloworld", space=SAMPLE)
    placements.without(mesh, "osaka", f"federatednamespace/{SAMPLE}", SAMPLE)
    until(lambda: not there(mesh), "the namespace to end", 90)


def there(mesh):
    return run(mesh, "osaka", "get", "namespace", SAMPLE, "--ignore-not-found").strip()
