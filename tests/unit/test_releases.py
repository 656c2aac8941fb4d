"""Official release files: the right one, proven, unpacked safely, fetched once, or a clear no."""

import hashlib
import json
import stat
import tarfile
import threading

import pytest
from fakes import limit
from mirrors import VARIABLES, archive, odd, program, serving

from isthmus import releases, stacks
from isthmus.adapters import download
from isthmus.errors import Unprepared
from isthmus.releases import accepted
from isthmus.stacks.releases import Release

NAME = "istio-1.7.2-linux-amd64.tar.gz"
PLACE = f"istio/1.7.2/{NAME}"
GOOD = archive(
    ("istio-1.7.2/README.md", b"read"),
    ("istio-1.7.2/bin/istioctl", program("1.7.2")),
    ("istio-1.7.2/bin/other", b"unwanted"),
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(releases.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(download, "INTERVAL", 0.02)
    limit(monkeypatch, download=5.0)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache/releases"


@pytest.fixture
def web():
    with serving() as web:
        web.files[f"/{NAME}"] = GOOD
        yield web


def stack(web, checksum="of the good one", content=GOOD):
    if checksum == "of the good one":
        checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    release = Release(
        part="istio",
        url=web.url + "/istio-{version}-linux-{arch}.tar.gz",
        checksums={"amd64": checksum},
        root="istio-{version}/bin",
        members=["istioctl"],
        check="istioctl version",
    )
    return stacks.load("guide").model_copy(update={"releases": {"istioctl": release}})


def ensure(*what, **more):
    return releases.ensure(stack(*what, **more), "istioctl")


def contents(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_what_is_wanted_is_unpacked_runnable_and_nothing_else(web):
    folder = ensure(web)
    assert contents(folder) == ["istioctl"]
    assert (folder / "istioctl").read_bytes() == program("1.7.2")
    assert stat.S_IMODE((folder / "istioctl").stat().st_mode) == 0o755


def test_it_is_fetched_once(web, cache):
    assert ensure(web) == ensure(web)
    assert web.asked == [f"GET /{NAME}"]
    assert not list(cache.rglob("*.tar.gz")) and not list(cache.rglob("*.part"))


def test_two_runs_at_once_fetch_it_once(web):
    found = []
    threads = [threading.Thread(target=lambda: found.append(ensure(web))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 3
    assert web.asked == [f"GET /{NAME}"]


def test_a_sum_may_be_a_sha512(web):
    assert ensure(web, f"sha512:{hashlib.sha512(GOOD).hexdigest()}").is_dir()


def test_another_content_than_pinned_is_deleted_and_both_sums_are_told(web, cache):
    wanted = "sha256:" + "0" * 64
    with pytest.raises(Unprepared, match="checksum mismatch, the file was deleted") as caught:
        ensure(web, wanted)
    assert wanted in str(caught.value)
    assert hashlib.sha256(GOOD).hexdigest() in str(caught.value)
    assert [p for p in contents(cache) if not p.endswith(".lock")] == []
    assert ensure(web).is_dir()


def test_a_truncated_file_that_claims_to_be_whole_is_refused(web):
    web.files[f"/{NAME}"] = GOOD[:-10]
    with pytest.raises(Unprepared, match="checksum mismatch"):
        ensure(web)


def test_what_an_interrupted_run_left_is_taken_up(web, cache):
    (cache / "istio/1.7.2").mkdir(parents=True)
    (cache / f"{PLACE}.part").write_bytes(GOOD[:100])
    ensure(web)
    assert web.ranges() == ["bytes=100-"]


def test_a_program_of_another_version_is_refused(web, cache):
    other = archive(("istio-1.7.2/bin/istioctl", program("1.7.21")))
    web.files[f"/{NAME}"] = other
    with pytest.raises(Unprepared, match=r"reports 'client version: v1\.7\.21', not 1\.7\.2"):
        ensure(web, content=other)
    assert [p for p in contents(cache) if not p.endswith(".lock")] == []


def test_an_archive_without_the_program_is_refused(web):
    other = archive(("istio-1.7.2/README.md", b"read"))
    web.files[f"/{NAME}"] = other
    with pytest.raises(Unprepared, match="istioctl is not in it"):
        ensure(web, content=other)


HOSTILE = {
    "absolute path": ("/tmp/isthmus-was-here", b"x"),
    "path out": ("istio-1.7.2/bin/../../../../out", b"x"),
    "symlink out": odd("istio-1.7.2/bin/link", tarfile.SYMTYPE, "../../../../out"),
    "absolute symlink": odd("istio-1.7.2/bin/link", tarfile.SYMTYPE, "/etc/passwd"),
    "hardlink out": odd("istio-1.7.2/bin/link", tarfile.LNKTYPE, "../../out"),
    "device": odd("istio-1.7.2/bin/null", tarfile.CHRTYPE),
    "pipe": odd("istio-1.7.2/bin/pipe", tarfile.FIFOTYPE),
    "link for the program": odd("istio-1.7.2/bin/istioctl", tarfile.SYMTYPE, "other"),
}


@pytest.mark.parametrize("member", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_archive_is_refused_whole(web, tmp_path, member):
    good = ("istio-1.7.2/bin/istioctl", program("1.7.2"))
    evil = archive(member) if getattr(member, "name", "") == good[0] else archive(good, member)
    web.files[f"/{NAME}"] = evil
    with pytest.raises(Unprepared, match="is not unpacked"):
        ensure(web, content=evil)
    left = [p for p in contents(tmp_path) if not p.endswith(".lock")]
    assert left == []


def test_an_archive_that_swells_is_refused(web, monkeypatch):
    monkeypatch.setattr(releases.extract, "MOST_BYTES", 10)
    with pytest.raises(Unprepared, match="more is in it"):
        ensure(web)


def test_without_a_checksum_nothing_is_fetched_until_somebody_accepts_it(web):
    with pytest.raises(Unprepared, match=f"{NAME}: no checksum is known") as caught:
        ensure(web, None)
    assert "--accept-checksum" in str(caught.value)
    assert web.asked == []


def test_what_was_accepted_once_is_pinned(web, cache):
    unknown = stack(web, None)
    folder = releases.ensure(unknown, "istioctl", accept=True)
    assert stat.S_IMODE(accepted.path().stat().st_mode) == 0o600
    pinned = json.loads(accepted.path().read_text())
    assert pinned == {PLACE: f"sha256:{hashlib.sha256(GOOD).hexdigest()}"}
    assert releases.ensure(unknown, "istioctl") == folder
    releases.require_checksum(unknown, "istioctl")


def test_what_changed_after_it_was_accepted_is_refused(web):
    unknown = stack(web, None)
    folder = releases.ensure(unknown, "istioctl", accept=True)
    folder.rename(folder.with_name("away"))
    web.files[f"/{NAME}"] = archive(("istio-1.7.2/bin/istioctl", program("1.7.2") + b"#"))
    with pytest.raises(Unprepared, match=r"accepted in .*accepted\.json"):
        releases.ensure(unknown, "istioctl", accept=True)


def test_what_is_refused_is_not_accepted(web):
    web.files[f"/{NAME}"] = archive(("istio-1.7.2/bin/istioctl", program("9.9.9")))
    with pytest.raises(Unprepared):
        releases.ensure(stack(web, None), "istioctl", accept=True)
    assert accepted.load_checksums() == {}


@pytest.mark.parametrize("text", ["{", '{"place": "md5:1"}', "[]"])
def test_a_file_of_accepted_sums_that_was_damaged_is_told(web, text):
    accepted.path().parent.mkdir(parents=True)
    accepted.path().write_text(text)
    with pytest.raises(Unprepared, match="is not a valid list of accepted checksums"):
        ensure(web, None)


def test_no_file_at_its_address_is_said_with_the_address(web):
    web.files.clear()
    with pytest.raises(Unprepared, match=f"{NAME} is not at {web.url}/{NAME}"):
        ensure(web)


def test_offline_it_is_said_what_to_put_where_and_that_works(web, cache, monkeypatch):
    limit(monkeypatch, download=0.0)
    web.url = "http://downloads.example"  # this machine itself is asked past every proxy
    offline = stack(web)
    here = cache / PLACE
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(Unprepared, match="cannot be fetched") as caught:
        releases.ensure(offline, "istioctl")
    said = str(caught.value)
    for part in (f"get {NAME} from {web.url}/{NAME}", f"put it at {here}", PLACE, "ISTHMUS_MIRROR"):
        assert part in said
    assert caught.value.exit_code == 69
    here.write_bytes(GOOD)
    assert contents(releases.ensure(offline, "istioctl")) == ["istioctl"]


@pytest.mark.parametrize("name", [NAME, PLACE])
def test_a_mirror_may_be_a_folder(web, tmp_path, monkeypatch, name):
    file = tmp_path / "mirror" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(GOOD)
    monkeypatch.setenv("ISTHMUS_MIRROR", str(tmp_path / "mirror"))
    ensure(web)
    assert web.asked == [] and file.read_bytes() == GOOD


@pytest.mark.parametrize("name", [NAME, PLACE])
def test_a_mirror_may_be_a_url(web, monkeypatch, name):
    web.files = {f"/mirror/{name}": GOOD}
    monkeypatch.setenv("ISTHMUS_MIRROR", f"{web.url}/mirror/")
    ensure(web)
    assert web.asked[-1] == f"GET /mirror/{name}"


@pytest.mark.parametrize("url", [False, True])
def test_a_mirror_is_asked_instead_and_what_it_lacks_is_said(web, tmp_path, monkeypatch, url):
    mirror = f"{web.url}/empty" if url else str(tmp_path / "empty")
    monkeypatch.setenv("ISTHMUS_MIRROR", mirror.replace("//", "//me:canary@"))
    shown = f"{NAME} is not at {mirror}/{PLACE} or {mirror}/{NAME}"
    with pytest.raises(Unprepared) as caught:
        ensure(web)
    assert f"GET /{NAME}" not in web.asked
    assert shown in str(caught.value) and "canary" not in str(caught.value)


def test_a_processor_without_a_release_is_told(web, monkeypatch):
    monkeypatch.setattr(releases.platform, "machine", lambda: "riscv64")
    with pytest.raises(Unprepared, match="knows no release file of istioctl for riscv64"):
        ensure(web)
    assert releases.find_unpacked(stack(web), "istioctl") is None
