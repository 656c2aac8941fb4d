"""Where istioctl, helm and kubefedctl come from: a folder that is named, or the lab's toolchain."""

from types import SimpleNamespace

import pytest

from isthmus import tools
from isthmus.errors import Unprepared
from isthmus.providers.lab import tools as lab


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "kubefed-chart").mkdir()
    (tmp_path / "kubefed-chart/Chart.yaml").touch()
    for name in ("istioctl", "helm", "kubefedctl"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("ISTHMUS_TOOLS", str(tmp_path))
    return tmp_path


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    toolchain = SimpleNamespace(bin=tmp_path / "bin", share=tmp_path / "share")
    monkeypatch.setattr(lab, "ensure_toolchain", lambda: toolchain)
    return toolchain


def test_a_folder_that_is_named_has_them_and_nothing_is_compiled(folder, monkeypatch):
    monkeypatch.setattr(lab, "ensure_toolchain", lambda: pytest.fail("compiles"))
    found = tools.ensure()
    assert (found.istioctl, found.helm) == (folder / "istioctl", folder / "helm")
    assert found.kubefedctl == folder / "kubefedctl"
    assert found.kubefed_chart == folder / "kubefed-chart"


def test_all_that_such_a_folder_lacks_is_said_at_once(folder):
    (folder / "helm").chmod(0o644)
    (folder / "kubefedctl").unlink()
    (folder / "kubefed-chart/Chart.yaml").unlink()
    with pytest.raises(Unprepared, match=r"lacks helm, kubefedctl, kubefed-chart/Chart\.yaml"):
        tools.ensure()


@pytest.mark.parametrize("value", [None, ""])
def test_where_none_is_named_they_are_the_labs(compiled, monkeypatch, value):
    monkeypatch.delenv("ISTHMUS_TOOLS", raising=False)
    if value is not None:
        monkeypatch.setenv("ISTHMUS_TOOLS", value)
    found = tools.ensure()
    assert found.helm == compiled.bin / "helm"
    assert found.kubefed_chart == compiled.share / "kubefed-chart"
