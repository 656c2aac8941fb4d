"""The way to an API server for programs that give up at its first refusal."""

import json
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
import refusing
from fakes import limited
from refusing import TOKEN

from isthmus import polling
from isthmus.adapters import api_proxy, kube
from isthmus.errors import Busy


@pytest.fixture
def api():
    with refusing.serving() as server:
        yield server


@contextmanager
def standing(api, folder):
    """Give a kubeconfig that leads to the API server through this process."""
    access = refusing.access(api.server_port, folder / "config", "beijing")
    with api_proxy.run_proxy({"beijing": kube.Kube(access)}) as path:
        yield path


@pytest.fixture
def way(api, folders):
    with standing(api, folders) as path:
        yield path


def ask(way, method, path, body=None, token=None):
    url = json.loads(way.read_text())["clusters"][0]["cluster"]["server"]
    if token:
        url = f"{url.rpartition('/')[0]}/{token}"
    request = urllib.request.Request(
        url + path,
        json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json"},
        method=method,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return answer.status, answer.read()


CUT = b"HTTP/1.1 200 OK\r\nAudit-Id: 1"


@pytest.mark.parametrize("answers", [[], [429], [500, 503], [None], [504, None], [CUT]])
def test_a_program_sees_no_refusal_that_passes(api, way, answers):
    api.answers = list(answers)
    assert ask(way, "GET", "/version") == (200, b"{}")
    assert len(api.asked) == len(answers) + 1
    assert {token for *_, token in api.asked} == {f"Bearer {TOKEN}"}


def test_a_refusal_that_means_it_is_passed_on_at_once(api, way):
    api.answers = [403]
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(way, "GET", "/version")
    assert (caught.value.code, len(api.asked)) == (403, 1)


def test_what_was_made_before_the_answer_was_cut_is_no_conflict(api, way):
    thing = {"metadata": {"name": "release"}}
    api.answers = [None]
    status, body = ask(way, "POST", "/api/v1/namespaces/s/secrets", thing)
    assert status == 201 and json.loads(body) == thing
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(way, "POST", "/api/v1/namespaces/s/secrets", thing)
    assert caught.value.code == 409


def test_who_does_not_know_the_token_is_not_served(api, way):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(way, "GET", "/version", token="another")
    assert caught.value.code == 404 and not api.asked


def test_a_program_of_a_run_that_lost_its_turn_changes_nothing(api, folders):
    def check():
        raise Busy("this run lost its lease")

    with polling.check_before_changes(check), standing(api, folders) as way:
        assert ask(way, "GET", "/version")[0] == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(way, "POST", "/api/v1/namespaces/s/secrets", {"metadata": {"name": "x"}})
    assert b"lost its lease" in caught.value.read()
    assert [verb for verb, *_ in api.asked] == ["GET"]


@pytest.fixture
def impatient():
    with limited(retry=0.5):
        yield


def test_a_server_that_is_gone_costs_patience_once(api, impatient, way):
    """So `unjoin --force` lets go of a dead member in its time, of whom it asks eight times."""
    api.answers = [503] * 50
    asked = []
    for _ in range(3):
        with pytest.raises(urllib.error.HTTPError):
            ask(way, "GET", "/version")
        asked.append(len(api.asked) - sum(asked))
    assert asked[0] > 1 and asked[1:] == [1, 1]
    api.answers = []
    assert ask(way, "GET", "/version")[0] == 200
    api.answers = [503]
    assert ask(way, "GET", "/version")[0] == 200


def test_no_credential_is_handed_on_and_nothing_is_left(api, way, folders):
    assert TOKEN not in way.read_text() and way.stat().st_mode & 0o777 == 0o600
