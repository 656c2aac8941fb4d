"""What every step has in common: its name, its errors' place, and nothing remembered."""

import importlib
import pickle
import pkgutil

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun

import tasks
from isthmus import events, polling
from isthmus.errors import ClusterUnreachable, NotReady, Rejected
from isthmus.step_results import Access, Done
from tasks.policies import RETRIES, step

HOST = Access(cluster="beijing", kubeconfig="/nowhere", context="c")
STEPS = {
    found.name: found
    for module in pkgutil.iter_modules(tasks.__path__, "tasks.")
    for found in vars(importlib.import_module(module.name)).values()
    if isinstance(found, Task)
}


def told(body, *args, **kwargs):
    """Run a step without Prefect; return what it told and its error."""
    heard, error = [], None
    with events.subscribe(heard.append):
        try:
            step("install host", of="host")(body).fn(*args, **kwargs)
        except Exception as raised:
            error = raised
    return heard, error


def test_a_step_tells_its_cluster_however_it_is_called():
    def body(environment, host):
        return Done(cluster="beijing", found="4 objects changed")

    for args, kwargs in [(("pair", HOST), {}), (("pair",), {"host": HOST})]:
        heard, _ = told(body, *args, **kwargs)
        assert [(e.kind, e.cluster) for e in heard] == [("started", "beijing"), ("done", "beijing")]
        assert heard[-1].text == "4 objects changed"


def test_an_error_says_where_it_happened_unless_it_knows_better():
    def fail(host, error):
        raise error

    heard, error = told(fail, HOST, Rejected("HTTP 403"))
    assert str(error) == "beijing: install host: HTTP 403"
    assert (heard[-1].kind, heard[-1].text) == ("failed", str(error))
    _, error = told(fail, HOST, Rejected("HTTP 403", cluster="xian", step="join"))
    assert str(error) == "xian: join: HTTP 403"


def test_what_a_step_says_is_told_as_its_own():
    def body(host):
        events.report_progress("half")

    heard, _ = told(body, HOST)
    assert [(e.kind, e.name, e.text) for e in heard][1] == ("noted", "install host", "half")


@pytest.mark.parametrize("name", STEPS)
def test_every_step_may_be_tried_again_and_only_after_what_may_pass(name):
    found = STEPS[name]
    assert found.retries > RETRIES, "or Prefect logs a traceback of the last one"
    assert found.retry_condition_fn is not None
    assert found.log_prints is False


def test_only_the_endpoint_is_remembered():
    remembered = [n for n, found in STEPS.items() if found.cache_policy is not NO_CACHE]
    assert remembered == ["find istiod remote endpoint"]
    stored = [n for n, found in STEPS.items() if found.persist_result]
    assert stored == remembered


def tried(times):
    return TaskRun.model_construct(run_count=times)


class _State:
    def __init__(self, error):
        self.error = error

    def result(self, raise_on_failure):
        return self.error


@pytest.mark.parametrize(
    ("error", "again"),
    [(ClusterUnreachable("x"), True), (Rejected("x"), False), (KeyError("x"), False)],
)
def test_only_what_may_pass_is_tried_again(error, again):
    from tasks.policies import is_transient

    assert is_transient(None, tried(1), _State(error)) is again


def test_what_may_pass_is_tried_again_so_often_and_no_more():
    from tasks.policies import is_transient

    passing = _State(ClusterUnreachable("x"))
    assert is_transient(None, tried(RETRIES), passing)
    assert not is_transient(None, tried(RETRIES + 1), passing)


def test_a_limit_that_ran_out_is_not_waited_for_again():
    from tasks.policies import is_transient

    with pytest.raises(NotReady) as caught:
        polling.until(lambda: None, "a Deployment", timeout=0)
    assert not is_transient(None, tried(1), _State(caught.value))
    assert not is_transient(None, tried(1), _State(pickle.loads(pickle.dumps(caught.value))))
