"""KubeFed's kinds were deleted: `up` lets them end, so that it can make them anew."""

import pytest
from fakes import limited

from isthmus.adapters import kubefed, orphans
from isthmus.adapters.diff import ENVIRONMENT_LABEL
from isthmus.errors import NotReady, Rejected

KIND = "CustomResourceDefinition"


def definition(api, kind, **meta):
    group = api.partition("/")[0]
    return {
        "apiVersion": orphans.DEFINITIONS,
        "kind": KIND,
        "metadata": {"name": f"{kind.lower()}s.{group}", **meta},
        "spec": {"group": group, "names": {"kind": kind}},
    }


def held(api, kind, name, owner="pair"):
    labels = {ENVIRONMENT_LABEL: owner} if owner else {}
    meta = {"name": name, "namespace": name, "labels": labels, "finalizers": ["kubefed.io/x"]}
    return {"apiVersion": api, "kind": kind, "metadata": {**meta, "deletionTimestamp": "now"}}


@pytest.fixture
def host(cluster):
    """A host that lets what was deleted end as an API server does: a kind with its last object."""
    made = cluster()
    made.served[kubefed.CORE_API].append("FederatedTypeConfig")
    made.reactions.append(lambda cluster, changed: collect(cluster))
    return made


def collect(cluster):
    for key, m in list(cluster.store.items()):
        if m["kind"] != KIND and not m["metadata"].get("finalizers"):
            del cluster.store[key]
    kinds = {m["kind"] for m in cluster.store.values()}
    for key, m in list(cluster.store.items()):
        deleted = m["metadata"].get("deletionTimestamp")
        if m["kind"] == KIND and deleted and m["spec"]["names"]["kind"] not in kinds:
            del cluster.store[key]


@pytest.mark.parametrize(
    ("api", "kind", "owner"),
    [
        (kubefed.TYPES_API, "FederatedNamespace", "pair"),
        (kubefed.TYPES_API, "FederatedSecret", "pair"),
        (kubefed.CORE_API, "FederatedTypeConfig", ""),
    ],
)
def test_what_is_ours_of_a_kind_that_was_deleted_is_let_go(host, api, kind, owner):
    host.put(definition(api, kind, deletionTimestamp="now"))
    host.put(held(api, kind, "sample", owner))
    orphans.finish_crd_deletion(host, "pair")
    assert not host.store


def test_nothing_is_let_go_whose_kind_stays(host):
    host.put(definition(kubefed.TYPES_API, "FederatedNamespace"))
    host.put(held(kubefed.TYPES_API, "FederatedNamespace", "sample"))
    orphans.finish_crd_deletion(host, "pair")
    assert not host.writes


def test_what_others_federate_stays_and_is_named_as_what_the_end_waits_for(host):
    host.put(definition(kubefed.TYPES_API, "FederatedSecret", deletionTimestamp="now"))
    host.put(held(kubefed.TYPES_API, "FederatedSecret", "theirs", owner=""))
    said = r"FederatedSecret theirs/theirs \(finalizer kubefed.io/x\)"
    with limited(deletion=0), pytest.raises(NotReady, match=said):
        orphans.finish_crd_deletion(host, "pair")
    assert not host.writes


def test_a_kind_of_somebody_elses_that_is_ending_is_not_waited_for(host):
    host.put(definition("example.com/v1", "Thing", deletionTimestamp="now"))
    orphans.finish_crd_deletion(host, "pair")
    assert not host.writes


def test_what_ends_while_it_is_let_go_is_no_failure(host, monkeypatch):
    host.put(definition(kubefed.TYPES_API, "FederatedSecret", deletionTimestamp="now"))
    secret = host.put(held(kubefed.TYPES_API, "FederatedSecret", "sample"))

    def gone(*what):
        secret["metadata"]["finalizers"] = None
        collect(host)
        raise Rejected("HTTP 404")

    monkeypatch.setattr(host, "merge_patch", gone)
    orphans.finish_crd_deletion(host, "pair")
    assert not host.store
