"""What a gateway sends in packets of full size is lost, as with an MTU smaller than believed."""

from live.faults import put_back
from live.faults.regions import rule

EXPECT = "F15"
CLUSTERS = ("osaka",)
mend = put_back
LARGE = ("-m", "length", "--length", "1000:65535", "-j", "DROP")


def break_mesh(mesh):
    rule(mesh, "osaka", "FORWARD", "-p", "tcp", "--sport", "15443", *LARGE)
