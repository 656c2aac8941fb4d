"""The lab's store of images: archives go in once, by whole names, and old roots go."""

import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from archives import NAME, REF, docker, layout, zipped

from isthmus import images
from isthmus.errors import Rejected, Unprepared
from isthmus.providers.lab.images import golden, loading

PILOT, TOOL = "example.com/istio/pilot:1", "team/tool:2"


class Containerd:
    """Takes what ctr would be told, and remembers what an import held."""

    def __init__(self):
        self.imports, self.tags, self.refusal = [], [], None

    def run(self, argv, **rest):
        command, verb, *what = argv[0], *argv[6:]
        assert (command, argv[3:6]) == ("ctr", ["-n", "k8s.io", "images"])
        if verb == "tag":
            assert what[0] == "--force"
            self.tags.append(tuple(what[1:]))
            return ""
        if self.refusal:
            raise self.refusal
        with tarfile.open(what[0], "r:") as tar:
            self.imports.append({m.name: tar.extractfile(m).read() for m in tar if m.isreg()})
        return ""


@pytest.fixture
def containerd(folders, monkeypatch):
    made = Containerd()
    monkeypatch.setattr(loading.shell, "run", made.run)
    (folders / "cache").mkdir(exist_ok=True)
    return made


def given(*paths):
    return list(dict.fromkeys(images.find(paths).values()))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_what_is_imported_once_is_not_imported_again(containerd, root, tmp_path):
    archives = given(docker(tmp_path / "a.tar", PILOT))
    for _ in range(2):
        loading.import_archives(root, Path("socket"), archives)
    assert len(containerd.imports) == 1
    moved = given(docker(tmp_path / "b.tar", PILOT))
    loading.import_archives(root, Path("socket"), moved)
    assert len(containerd.imports) == 1, "it is known by its content, wherever it lies"
    changed = given(docker(tmp_path / "b.tar", PILOT, layer=b"new"))
    loading.import_archives(root, Path("socket"), changed)
    assert len(containerd.imports) == 2


def test_containerd_gets_every_archive_as_a_plain_tar_and_short_names_made_whole(
    containerd, root, tmp_path
):
    packed = docker(tmp_path / "a.tar", PILOT)
    folder = layout(tmp_path / "o", {NAME: "example.com/o:1"}, {REF: TOOL}, layer=b"l")
    loading.import_archives(root, Path("socket"), given(zipped(packed), folder))
    by_first = {min(files): files for files in containerd.imports}
    assert json.loads(by_first["0.json"]["manifest.json"])[0]["RepoTags"] == [PILOT]
    written = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert written in containerd.imports
    [(short, name)] = containerd.tags
    assert (short, name) == (TOOL, images.normalize_name(TOOL))


def test_where_two_archives_have_one_name_the_first_is_imported_last_and_stays(
    containerd, root, tmp_path
):
    one = docker(tmp_path / "z.tar", PILOT, layer=b"one")
    two = docker(tmp_path / "a.tar", PILOT, "example.com/b:1", layer=b"two")
    loading.import_archives(root, Path("socket"), given(one, two))
    assert [files["layer.tar"] for files in containerd.imports] == [b"two", b"one"]


def test_an_archive_that_containerd_refuses_is_named_and_not_taken_for_imported(
    containerd, root, tmp_path
):
    archives = given(docker(tmp_path / "a.tar", PILOT))
    containerd.refusal = Rejected("`ctr …` exited with 1: time=… level=info\nctr: no such layer")
    with pytest.raises(Unprepared) as caught:
        loading.import_archives(root, Path("socket"), archives)
    path = archives[0].path
    assert caught.value.message == f"{path}: containerd cannot import it: no such layer"
    containerd.refusal = None
    loading.import_archives(root, Path("socket"), archives)
    assert len(containerd.imports) == 1


def test_nothing_is_left_of_what_was_unpacked_for_it(containerd, root, folders, tmp_path):
    loading.import_archives(root, Path("socket"), given(zipped(docker(tmp_path / "a.tar", PILOT))))
    assert list((folders / "cache").iterdir()) == []


@pytest.fixture
def roots(folders, monkeypatch):
    """Golden roots made of nothing but a file that tells what went in."""
    monkeypatch.setattr(golden, "_make", lambda part, tools: put(part, ["made"]))

    def extend(part, base, archives):
        put(part, [*(base / "in").read_text().split(), *(a.path.name for a in archives)])

    monkeypatch.setattr(golden, "_extend", extend)
    return SimpleNamespace(folder=folders / "cache/images", tools=SimpleNamespace(key="k"))


def put(part, words):
    (part / "root").mkdir()
    (part / "root/in").write_text(" ".join(words))


def content(root):
    return (root / "in").read_text()


def test_regions_of_other_archives_start_from_other_roots_made_once(roots, tmp_path, monkeypatch):
    archives = given(docker(tmp_path / "a.tar", PILOT))
    plain = golden.ensure_golden(roots.tools)
    mine = golden.ensure_golden(roots.tools, archives)
    assert (content(plain), content(mine)) == ("made", "made a.tar")
    monkeypatch.setattr(golden, "_make", lambda *what: pytest.fail("made twice"))
    monkeypatch.setattr(golden, "_extend", lambda *what: pytest.fail("made twice"))
    assert golden.ensure_golden(roots.tools) == plain
    assert golden.ensure_golden(roots.tools, archives) == mine


def test_an_attempt_that_failed_leaves_no_root(roots, tmp_path, monkeypatch):
    archives = given(docker(tmp_path / "a.tar", PILOT))
    good = golden._extend

    def fail(part, base, archives):
        good(part, base, archives)
        raise Rejected("no")

    monkeypatch.setattr(golden, "_extend", fail)
    with pytest.raises(Rejected):
        golden.ensure_golden(roots.tools, archives)
    monkeypatch.setattr(golden, "_extend", good)
    assert content(golden.ensure_golden(roots.tools, archives)) == "made a.tar"


def test_only_the_last_roots_are_kept_and_one_in_use_is_among_them(roots, tmp_path):
    plain = golden.ensure_golden(roots.tools)
    for number in range(golden.MAX_GOLDEN_ROOTS + 2):
        made = given(docker(tmp_path / f"{number}.tar", PILOT, layer=bytes([number])))
        last = golden.ensure_golden(roots.tools, made)
        left = [path for path in roots.folder.iterdir() if path.is_dir()]
        assert len(left) <= golden.MAX_GOLDEN_ROOTS
        assert {plain, last} <= set(left)
