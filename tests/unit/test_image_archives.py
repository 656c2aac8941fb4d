"""Archives of images: what is in them is found, and what is wrong with them is told."""

import io
import tarfile

import pytest
from archives import NAME, REF, docker, layout, layout_files, tar, zipped
from world import environment

from isthmus import images
from isthmus.environment import Images
from isthmus.errors import Unprepared
from isthmus.images.names import HUB
from isthmus.providers.lab import archives as lab
from isthmus.providers.lab import defaults
from isthmus.providers.lab.images import names

PILOT = "example.com/istio/pilot:1"
SECRET = b'[{"Config": "secret", "Layers": [], "RepoTags": ["example.com/secret:1"]}]'


def test_images_of_a_docker_archive_are_found_by_their_whole_names(tmp_path):
    path = docker(tmp_path / "a.tar", "istio/pilot:1", PILOT, None)
    found = images.find([path])
    assert list(found) == [f"{HUB}/istio/pilot:1", PILOT]
    assert {archive.path for archive in found.values()} == {path}


def test_images_of_an_oci_layout_are_found_by_name_then_reference_and_a_bare_tag_is_no_name(
    tmp_path,
):
    named = layout(tmp_path / "o", {NAME: PILOT, REF: "1"}, {REF: "team/tool:2"}, {REF: "3"}, {})
    [archive] = set(images.find([named]).values())
    assert archive.names == (PILOT, f"{HUB}/team/tool:2")
    assert archive.containerd_names == (PILOT, "team/tool:2")


@pytest.mark.parametrize("before", ["", "./"])
def test_a_tar_may_be_a_layout_whatever_its_members_begin_with_and_gzipped(tmp_path, before):
    files = {f"{before}{name}": data for name, data in layout_files({NAME: PILOT}).items()}
    path = tar(tmp_path / "o.tar", files)
    assert list(images.find([path])) == list(images.find([zipped(path)])) == [PILOT]


def test_what_has_both_manifests_is_read_as_containerd_reads_it(tmp_path):
    """As Docker writes since version 25: an OCI layout with an old manifest beside it."""
    path = tar(tmp_path / "b.tar", {**layout_files({NAME: PILOT}), "manifest.json": SECRET})
    assert list(images.find([path])) == [PILOT]


def test_a_folder_s_archives_count_by_name_and_other_files_in_it_do_not(tmp_path):
    docker(tmp_path / "b.tar", PILOT, "example.com/b:1")
    docker(tmp_path / "a.tar", PILOT)
    zipped(docker(tmp_path / "c.tar", "example.com/c:1")).rename(tmp_path / "c.tgz")
    layout(tmp_path / "d", {NAME: "example.com/d:1"})
    (tmp_path / "README").write_text("not an archive")
    found = images.find([tmp_path])
    assert set(found) == {PILOT, *(f"example.com/{n}:1" for n in "bcd")}
    assert found[PILOT].path == tmp_path / "a.tar"


def test_the_archive_that_is_named_first_counts(tmp_path):
    one, two = docker(tmp_path / "z.tar", PILOT), docker(tmp_path / "a.tar", PILOT)
    assert images.find([one, two])[PILOT].path == one


def test_the_key_changes_with_the_content_and_with_nothing_else(tmp_path):
    def key(path):
        [archive] = set(images.find([path]).values())
        return archive.key()

    one = key(docker(tmp_path / "a.tar", PILOT))
    assert key(docker(tmp_path / "b.tar", PILOT)) == one
    assert key(docker(tmp_path / "a.tar", PILOT, layer=b"other")) != one
    folders = [layout(tmp_path / n, {NAME: PILOT}, layer=n.encode()) for n in ("x", "y")]
    assert key(folders[0]) != key(folders[1])


def truncated(path):
    whole = docker(path, PILOT, layer=bytes(100_000)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def half_zipped(path):
    packed = zipped(docker(path, PILOT, layer=bytes(range(256)) * 400))
    packed.write_bytes(packed.read_bytes()[:-100])
    return packed


def badly_zipped(path):
    packed = zipped(docker(path, PILOT, layer=bytes(range(256)) * 400))
    data = packed.read_bytes()
    packed.write_bytes(data[:40] + b"\xff" * 40 + data[80:])
    return packed


def written(path, content):
    path.write_bytes(content)
    return path


def linked(path):
    """A manifest that is a link to a file of this machine."""
    (path.parent / "secret.json").write_bytes(SECRET)
    with tarfile.open(path, "w") as packed:
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, str(path.parent / "secret.json")
        packed.addfile(link)
    return path


def linked_layout(path):
    layout(path, {NAME: PILOT})
    (path / "index.json").rename(path.parent / "elsewhere")
    (path / "index.json").symlink_to(path.parent / "elsewhere")
    return path


def leading_out(path):
    layout(path, {NAME: PILOT})
    (path / "blobs/sha256").rename(path.parent / "blobs-elsewhere")
    (path / "blobs/sha256").symlink_to(path.parent / "blobs-elsewhere")
    return path


def huge(path):
    with tarfile.open(path, "w") as packed:
        info = tarfile.TarInfo("manifest.json")
        info.size = 5 << 20
        packed.addfile(info, io.BytesIO(bytes(info.size)))
    return path


def lacking(path):
    files = layout_files({NAME: PILOT})
    return tar(path, {n: d for n, d in files.items() if not n.startswith("blobs")})


BROKEN = {
    "cut in the middle": (truncated, "is truncated or damaged"),
    "gzipped and cut": (half_zipped, "is truncated or damaged"),
    "gzipped and damaged": (badly_zipped, "is truncated or damaged"),
    "empty": (lambda p: written(p, b""), "is truncated or damaged"),
    "no tar": (lambda p: written(p, b"hello" * 1000), "is truncated or damaged"),
    "another tar": (lambda p: tar(p, {"a": b"b"}), "is not an image archive"),
    "no JSON": (lambda p: tar(p, {"manifest.json": b"{"}), "manifest.json in it is not as it"),
    "deep": (lambda p: tar(p, {"manifest.json": b"[" * 99999}), "manifest.json in it is not as it"),
    "other JSON": (lambda p: tar(p, {"manifest.json": b'[{"a": 1}]'}), "is not as it should be"),
    "without its layer": (lambda p: docker(p, PILOT, without="layer.tar"), "is incomplete"),
    "without its blobs": (lacking, "is incomplete: it lacks 'blobs/sha256/"),
    "no names": (lambda p: docker(p, None), "holds no image with a name"),
    "bare tags": (lambda p: layout(p, {REF: "1.7.2"}), "holds no image with a name"),
    "a bad name": (lambda p: docker(p, "a b\x1b[31m"), "has an invalid image name: '"),
    "a manifest that is a link": (linked, "is no file, or too large"),
    "an index that is a link": (linked_layout, "is no file, or too large"),
    "blobs elsewhere": (leading_out, "has a link in it that leads out"),
    "a huge manifest": (huge, "is no file, or too large"),
}


@pytest.mark.parametrize(("make", "what"), BROKEN.values(), ids=BROKEN)
def test_an_archive_that_is_broken_is_named_with_what_is_wrong(tmp_path, make, what):
    path = make(tmp_path / "x.tar")
    with pytest.raises(Unprepared) as caught:
        images.find([path])
    assert caught.value.message.startswith(f"{path}: ")
    assert what in caught.value.message
    assert "\x1b" not in str(caught.value) and "docker save" in caught.value.hint


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Unprepared, match=r"gone\.tar: no such file or folder"):
        images.find([tmp_path / "gone.tar"])


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    """Return a function that tells which archives the lab takes for these images."""
    monkeypatch.delenv(lab.MIRROR, raising=False)

    def ask(**given):
        found = lab.required_archives(environment(images=Images(**given)), defaults.DEFAULTS.images)
        return [archive.path for archive in found]

    return ask


def test_the_lab_makes_its_own_images_and_needs_no_archive(wanted):
    assert wanted() == []


def test_the_lab_s_list_of_what_it_makes_is_what_it_uses():
    listed = images.required_images(environment(), defaults.DEFAULTS.images)
    assert set(listed) == lab.LAB_IMAGES - {names.PAUSE, names.COREDNS}


def test_all_archives_that_the_file_names_are_taken(wanted, tmp_path):
    used, spare = docker(tmp_path / "a.tar", PILOT), docker(tmp_path / "b.tar", "example.com/b:1")
    assert wanted(caller=PILOT, archives=[used, spare]) == [used, spare]


def test_an_image_that_is_nowhere_is_named_with_the_places_that_were_searched(wanted, tmp_path):
    path = docker(tmp_path / "a.tar", "example.com/b:1")
    with pytest.raises(Unprepared) as caught:
        wanted(caller=PILOT, helloworld_v1="team/hello:1", archives=[path])
    text = str(caught.value)
    assert f"- {PILOT}\n- {HUB}/team/hello:1\n" in text
    assert f"searched: {path}, " in text and lab.MIRROR in text and "docker save" in text


def test_of_the_mirror_only_what_is_needed_is_taken(wanted, tmp_path, monkeypatch):
    folder = tmp_path / "mirror/images"
    folder.mkdir(parents=True)
    needed = docker(folder / "a.tar", PILOT)
    docker(folder / "b.tar", "example.com/b:1")
    monkeypatch.setenv(lab.MIRROR, str(tmp_path / "mirror"))
    assert wanted(caller=PILOT) == [needed]
    assert wanted() == []


def test_a_mirror_that_is_no_folder_of_this_machine_has_no_images(wanted, monkeypatch):
    monkeypatch.setenv(lab.MIRROR, "https://mirror.example/isthmus")
    with pytest.raises(Unprepared, match="no archive has these images"):
        wanted(caller=PILOT)


def test_a_broken_archive_of_the_mirror_hinders_nobody_who_does_not_need_it(
    wanted, tmp_path, monkeypatch
):
    (tmp_path / "images").mkdir()
    truncated(tmp_path / "images/a.tar")
    monkeypatch.setenv(lab.MIRROR, str(tmp_path))
    assert wanted() == []


def test_a_folder_without_an_archive_is_told(wanted, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unprepared, match="contains no image archive"):
        wanted(archives=[tmp_path / "empty"])
