"""Runs to report on: environments, what was found out of them, steps, and secrets gone astray."""

from pathlib import Path

from isthmus.environment import ClusterSpec, Environment
from isthmus.reporting import RunFacts, RunIdentity, RunReport
from isthmus.step_results import Access, GatewayAddress, IstiodEndpoint
from isthmus.timeline import Step
from isthmus.verification import (
    Answers,
    ObservedEndpoint,
    ReportedState,
    evaluate,
    evaluate_client,
    evaluate_gateway,
)

START = 1_795_559_304.0
KEY = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCANARYca7f3aKEYKEYKEYKEY"
SECRETS = {
    "key": f"-----BEGIN EC PRIVATE KEY-----\n{KEY}\n-----END EC PRIVATE KEY-----\n",
    "cut key": f"-----BEGIN PRIVATE KEY-----\\n{KEY}",
    "token": "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.CANARYtoken7f3a",
    "kubeconfig": "  client-key-data: CANARYkubeconfig7f3aLS0t\n  user: {token: CANARYuser7f3a}",
    "json": '{"data": {"ca-key.pem": "CANARYjson7f3a", "token":"CANARYjson7f3b"}}',
    "base64": "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCANARYbase64",
    "url": "postgresql+asyncpg://prefect:CANARYpassword7f3a@db.internal/prefect",
    "header": "Authorization: Basic CANARYheader7f3a",
    "bearer": "with Bearer CANARYbearer7f3a",
    "cloud": "KSYUN_SECRET_KEY=CANARYcloud7f3a secret_key: CANARYcloud7f3b",
    "query": "GET /hook?token=CANARYquery7f3a&x=1",
}


def environment(*names, name="silk-road"):
    """Return an environment of these clusters, the host first."""
    specs = [
        ClusterSpec(name=cluster, region=f"cn-{cluster}-6"[:63], network=f"network{n}")
        for n, cluster in enumerate(names or ("beijing", "shanghai"), 1)
    ]
    return Environment(name=name, host=specs[0], remotes=specs[1:])


def access(cluster, kubeconfig=Path("/nowhere/kubeconfig")):
    return Access(cluster=cluster, kubeconfig=kubeconfig, context=cluster)


def gateway(of, cluster):
    return GatewayAddress(
        cluster=cluster, address=f"198.18.{_names(of).index(cluster)}.3", port=15443
    )


def verification(of, silent=None):
    """Return the verdict of a mesh in which all answer, or all but one whose gateway is down."""
    names = _names(of)
    reported = ReportedState(
        pods={n: {f"helloworld-{n}": f"10.244.{at}.1"} for at, n in enumerate(names)},
        gateways={n: [gateway(of, n).found] for n in names},
        networks={c.name: c.network for c in of.clusters},
    )
    clients = [
        evaluate_client(n, _seen(names, n), _answers(names, n, silent), reported) for n in names
    ]
    return evaluate(of, clients, evaluate_gateway(silent, None, reported) if silent else [])


def known(of, silent=None):
    """Return all that a run to the end knows."""
    found = RunFacts(of)
    for name in _names(of):
        found.add_result(access(name))
        found.add_result(gateway(of, name))
    found.add_result(
        IstiodEndpoint(cluster=of.host.name, address=gateway(of, of.host.name).address)
    )
    found.add_result(verification(of, silent))
    return found


def step(name, cluster, start, end, outcome="done", *after, text=""):
    ended = None if end is None else START + end
    identity = f"{name} {cluster}"
    return Step(identity, name, cluster, START + start, ended, outcome, after, text)


STEPS = (
    step("create cluster", "beijing", 0, 9.2),
    step("create cluster", "shanghai", 0, 8.1),
    step("install host", "beijing", 9.2, 15, "done", "create cluster beijing"),
    step("install remote", "shanghai", 15, 17, "failed", "install host beijing", text="403"),
)


def story(found=None, steps=STEPS, failure=None, verb="up", **run):
    given = {"name": "build silk-road", "link": "http://127.0.0.1:4200/runs/1", "deployed": False}
    found = found or known(environment())
    return RunReport(
        verb, RunIdentity(**{**given, **run}), found, tuple(steps), START, START + 20, failure
    )


def _names(of):
    return [cluster.name for cluster in of.clusters]


def _seen(names, client):
    return [
        ObservedEndpoint(address=f"10.244.{at}.1", port=5000)
        if name == client
        else ObservedEndpoint(address=f"198.18.{at}.3", port=15443)
        for at, name in enumerate(names)
    ]


def _answers(names, client, silent):
    who = [name for name in names if name == client or name != silent]
    said = [f"helloworld-{who[turn % len(who)]}" for turn in range(100)]
    return Answers(requests=100, instances=said, failures=[])
