"""Which services of the users' own are asked, and that nobody is blamed for what was not told."""

import click
import pytest
from snapshots import changed, healthy
from world import environment

from isthmus import polling
from isthmus.cli import environment_argument, options
from isthmus.collectors import mesh
from isthmus.environment import ServiceSpec
from isthmus.errors import NotReady, Usage
from isthmus.step_results import Access
from isthmus.verification import ReportedState
from tasks import services

REPORTED = ReportedState(pods={}, gateways={}, networks={})


def asked(*given, has=()):
    made = environment()
    verification = made.verification.model_copy(update={"services": list(has)})
    made = made.model_copy(update={"verification": verification})
    convert = options.ServiceParam().convert
    found = environment_argument.with_services(made, [convert(text, None, None) for text in given])
    return [(s.name, s.port, s.path, s.protocol) for s in found.verification.services]


def test_a_service_is_given_by_name_with_port_and_path_if_need_be():
    assert asked("shop/cart", "shop/web:8080/healthz?x=1", "tcp://shop/db:5432") == [
        ("shop/cart", None, "/", None),
        ("shop/web", 8080, "/healthz?x=1", None),
        ("shop/db", 5432, "/", "tcp"),
    ]


def test_what_is_given_holds_over_what_the_file_says_of_the_same_service():
    in_file = (ServiceSpec(name="shop/cart", port=8080), ServiceSpec(name="shop/db", port=5432))
    assert asked("shop/cart:8080/healthz", "shop/db", has=in_file) == [
        ("shop/cart", 8080, "/healthz", None),
        ("shop/db", None, "/", None),
    ]


@pytest.mark.parametrize("text", ["cart", "ftp://shop/cart", "shop/cart:http", "shop/"])
def test_what_is_no_service_is_refused(text):
    with pytest.raises(click.BadParameter, match="is no Service such as"):
        asked(text)


def test_a_name_that_is_none_is_refused_with_the_rule():
    with pytest.raises(Usage, match="must be a namespace and a Service in it"):
        asked("Shop/cart")


def inspect(monkeypatch, snapshot, building=False):
    monkeypatch.setattr(mesh, "take_snapshot", lambda *_, **__: snapshot)
    wanted = environment()
    specs = [ServiceSpec(name="sample/helloworld"), ServiceSpec(name="shop/none")]
    verification = wanted.verification.model_copy(update={"services": specs})
    wanted = wanted.model_copy(update={"verification": verification})
    members = [Access(cluster=c, kubeconfig="/k", context=c) for c in ("beijing", "shanghai")]
    step = services.inspect_services.fn.__wrapped__
    return step(wanted, members, REPORTED, building)


def test_verify_asks_what_the_file_names_and_a_build_only_what_is_there(monkeypatch):
    found = inspect(monkeypatch, healthy())
    assert {e.service for e in found} == {"sample/helloworld", "shop/none"}
    built = inspect(monkeypatch, healthy(), building=True)
    assert {e.service for e in built} == {"sample/helloworld"} and len(built) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"reachable": False, "unreachable_reason": "connection refused"},
        {"errors": {"list Service": "403 Forbidden"}},
        {"errors": {"list EndpointSlice": "timed out"}},
    ],
)
@pytest.mark.parametrize("building", [False, True])
def test_what_a_cluster_did_not_tell_is_nobodys_lack(monkeypatch, fields, building):
    with pytest.raises(NotReady, match=r"refused|403|timed out"):
        inspect(monkeypatch, changed(healthy(), "shanghai", **fields), building)


def test_once_the_time_is_over_nothing_is_expected_anew(monkeypatch):
    monkeypatch.setattr(polling, "is_out_of_time", lambda: True)
    [one, *_] = inspect(monkeypatch, healthy())
    assert services._expect_anew(environment(), REPORTED, one) is one
