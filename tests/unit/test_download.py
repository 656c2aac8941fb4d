"""A file over HTTP: whole in the end, whatever server and network do meanwhile, or a clear no."""

import pytest
from fakes import limit
from mirrors import VARIABLES, serving

from isthmus.adapters import download
from isthmus.errors import NotReady, Unprepared

CONTENT = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(download, "INTERVAL", 0.02)
    limit(monkeypatch, download=5.0)


@pytest.fixture
def web():
    with serving() as web:
        web.files["/file"] = web.files["/elsewhere"] = CONTENT
        yield web


@pytest.fixture
def target(tmp_path):
    return tmp_path / "file"


def fetched(web, target):
    found = download.fetch(f"{web.url}/file", target)
    assert not target.with_name("file.part").exists()
    return found and target.read_bytes() == CONTENT


@pytest.mark.parametrize("manner", ["503", "500", "429"])
def test_trouble_of_the_server_is_waited_out(web, target, manner):
    web.manners = [manner, manner]
    assert fetched(web, target)
    assert len(web.asked) == 3


def test_a_transfer_that_breaks_off_goes_on_where_it_was(web, target):
    web.manners = ["broken", "broken"]
    assert fetched(web, target)
    half = len(CONTENT) // 2
    assert web.ranges() == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_an_earlier_run_that_was_killed_is_taken_up(web, target):
    target.with_name("file.part").write_bytes(CONTENT[:1000])
    assert fetched(web, target)
    assert web.ranges() == ["bytes=1000-"]


def test_a_server_that_cannot_go_on_begins_anew(web, target):
    target.with_name("file.part").write_bytes(b"old" * 100)
    web.manners = ["forgetful"]
    assert fetched(web, target)


def test_what_is_longer_than_the_file_is_thrown_away(web, target):
    target.with_name("file.part").write_bytes(CONTENT * 2)
    assert fetched(web, target)
    assert web.ranges() == [f"bytes={2 * len(CONTENT)}-", None]


def test_a_silent_server_is_asked_again(web, target, monkeypatch):
    limit(monkeypatch, download=0.2, request=0.15)
    web.manners = ["silent"]
    assert fetched(web, target)
    assert web.ranges() == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_slow_server_may_take_longer_than_a_silent_one(web, target, monkeypatch):
    limit(monkeypatch, download=0.2, request=0.2)
    web.manners = ["slow"] * 100
    assert fetched(web, target)


def test_it_follows_to_where_the_file_was_moved(web, target):
    web.manners = ["moved"]
    assert fetched(web, target)
    assert web.asked == ["GET /file", "GET /elsewhere"]


def test_no_such_file_is_said_at_once(web, target):
    assert download.fetch(f"{web.url}/other", target) is False
    assert web.asked == ["GET /other"]


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refusal_is_final(web, target, status):
    web.manners = [status]
    with pytest.raises(Unprepared, match=f"HTTP {status}"):
        fetched(web, target)


def test_a_server_that_stays_in_trouble_may_be_asked_later(web, target, monkeypatch):
    limit(monkeypatch, download=0.1)
    web.manners = ["503"] * 1000
    with pytest.raises(NotReady, match=r"file from http://.*last seen: HTTP 503") as caught:
        fetched(web, target)
    assert caught.value.exit_code == 75


def test_patience_begins_anew_with_every_byte_that_came(web, target, monkeypatch):
    limit(monkeypatch, download=0.0)
    web.manners = ["broken"] * 4
    assert fetched(web, target)
    assert len(web.asked) == 5


def test_where_nobody_answers_is_said_with_the_address(target, monkeypatch):
    limit(monkeypatch, download=0.0)
    with pytest.raises(Unprepared, match=r"file from http://127\.0\.0\.1:1/file.*refused"):
        download.fetch("http://127.0.0.1:1/file", target)


def test_a_proxy_is_asked_for_what_it_can_reach_alone(web, target, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", web.url)
    assert download.fetch("http://releases.invalid/file", target)
    assert web.asked == ["GET http://releases.invalid/file"]


def test_a_proxy_is_asked_to_let_tls_through(web, target, monkeypatch):
    limit(monkeypatch, download=0.0)
    monkeypatch.setenv("HTTPS_PROXY", web.url)
    with pytest.raises(Unprepared, match="502"):
        download.fetch("https://releases.invalid/file", target)
    assert set(web.asked) == {"CONNECT releases.invalid:443"}


def test_no_proxy_is_asked_for_hosts_that_are_excepted(web, target, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert fetched(web, target)


def test_user_and_password_are_sent_and_never_shown(web, target):
    web.manners = ["403"]
    with pytest.raises(Unprepared) as caught:
        download.fetch(web.url.replace("//", "//me:canary@") + "/file", target)
    assert web.headers[0]["Authorization"] == "Basic bWU6Y2FuYXJ5"
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[", "ftp://here/file"])
def test_an_address_that_is_none_is_refused(target, url, monkeypatch):
    limit(monkeypatch, download=0.0)
    with pytest.raises(Unprepared):
        download.fetch(url, target)
