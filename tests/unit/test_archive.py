"""Images: the same input gives the same bytes, and what is in them is what was asked for."""

import hashlib
import json
import tarfile

import pytest

from isthmus.providers.lab.images.archive import Image, LayerEntry, write_archive, write_layer


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    return path


def test_a_layer_holds_its_entries_as_root_and_with_their_modes(tmp_path, program):
    entries = [
        LayerEntry("bin/program", program),
        LayerEntry("bin/link", link="program"),
        LayerEntry("etc/open/", mode=0o777),
        LayerEntry("etc/passwd", text="r\u00f6ot", mode=0o644),
    ]
    with tarfile.open(write_layer(tmp_path / "layer.tar", entries)) as tar:
        members = {m.name: m for m in tar.getmembers()}
        assert tar.extractfile("bin/program").read() == b"\x7fELF"
        assert tar.extractfile("etc/passwd").read().decode() == "r\u00f6ot"
    assert members["bin/link"].linkname == "program"
    assert members["etc/open"].isdir()
    modes = {name: oct(m.mode) for name, m in members.items() if not m.issym()}
    assert modes == {"bin/program": "0o755", "etc/open": "0o777", "etc/passwd": "0o644"}
    assert {(m.uid, m.gid, m.mtime) for m in members.values()} == {(0, 0, 0)}


def test_the_same_input_gives_the_same_bytes(tmp_path, program):
    one = write_layer(tmp_path / "a", [LayerEntry("x", program)]).read_bytes()
    program.touch()
    assert write_layer(tmp_path / "b", [LayerEntry("x", program)]).read_bytes() == one


def test_an_archive_has_every_image_and_each_layer_once(tmp_path):
    base = write_layer(tmp_path / "base.tar", [LayerEntry("a", text="a")])
    top = write_layer(tmp_path / "top.tar", [LayerEntry("b", text="b")])
    images = [Image("lab/a:x", [base], ["/a"]), Image("lab/b:x", [base, top], user="1337")]
    write_archive(tmp_path / "images.tar", images)
    with tarfile.open(tmp_path / "images.tar") as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))
        for image in manifest:
            config = json.load(tar.extractfile(image["Config"]))
            digests = [
                f"sha256:{hashlib.sha256(tar.extractfile(layer).read()).hexdigest()}"
                for layer in image["Layers"]
            ]
            assert config["rootfs"]["diff_ids"] == digests
    assert len(names) == len(set(names))
    assert [image["RepoTags"] for image in manifest] == [["lab/a:x"], ["lab/b:x"]]
    assert [len(image["Layers"]) for image in manifest] == [1, 2]
