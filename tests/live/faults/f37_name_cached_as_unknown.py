"""A pod's DNS remembers that a name was unknown, though it exists by now."""

import json

from live.faults import HELLOWORLD, SAMPLE, note, put_back
from live.faults.objects import change, delete, get, run, written
from live.faults.regions import until

EXPECT = "F37"
CLUSTERS = ("osaka",)
mend = put_back


def break_mesh(mesh):
    chosen = ("-n", "kube-system", "delete", "pod", "-l", "k8s-app=kube-dns")
    note(mesh, "ran", cluster="osaka", args=chosen)
    change(mesh, "osaka", "configmap/coredns", remembers, "kube-system")
    run(mesh, "osaka", *chosen)
    ready = ("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s")
    run(mesh, "osaka", *ready)
    service = get(mesh, "osaka", "service/helloworld", SAMPLE)
    delete(mesh, "osaka", "service/helloworld", SAMPLE)
    until(lambda: not answers(mesh), "the name to be unknown")
    run(mesh, "osaka", "create", "-f", "-", given=json.dumps(written(service)))


def remembers(config):
    text = config["data"]["Corefile"].replace("pods insecure", "pods insecure\n ttl 120")
    config["data"]["Corefile"] = text.replace("cache 5", "cache 120")


def answers(mesh):
    ask = ("exec", "deploy/sleep", "-c", "istio-proxy", "--", "curl", "-s", "-m", "3")
    told = run(
        mesh, "osaka", "-n", SAMPLE, *ask, "-w", "%{exitcode}", "-o", "/dev/null", URL, fail=False
    )
    return told != "6"


URL = f"http://{HELLOWORLD}:5000/hello"
