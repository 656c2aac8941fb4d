"""What istioctl renders is kept for the same program and the same input, and for no other."""

import pytest

from isthmus.adapters import istioctl
from isthmus.errors import Rejected

pytestmark = pytest.mark.usefixtures("folders")
PROGRAM = """#!/bin/sh
cat > {log}.in; echo run >> {log}
printf 'kind: A\\n---\\n---\\nkind: {kind}\\n'
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "istioctl"
    path.write_text(PROGRAM.format(log=tmp_path / "log", kind="B"))
    path.chmod(0o755)
    return path


def runs(tmp_path):
    return len((tmp_path / "log").read_text().splitlines())


def test_its_objects_come_in_its_order_and_empty_ones_are_left_out(program, tmp_path):
    assert istioctl.manifests(program, {"spec": {}}) == [{"kind": "A"}, {"kind": "B"}]
    assert (tmp_path / "log.in").read_text() == '{"spec": {}}'


def test_the_same_is_rendered_once(program, tmp_path):
    first = istioctl.manifests(program, {"a": 1, "b": 2})
    assert istioctl.manifests(program, {"b": 2, "a": 1}) == first
    assert runs(tmp_path) == 1
    istioctl.manifests(program, {"a": 2})
    assert runs(tmp_path) == 2


def test_another_program_renders_anew(program, tmp_path):
    istioctl.manifests(program, {})
    program.write_text(PROGRAM.format(log=tmp_path / "log", kind="Other"))
    assert istioctl.manifests(program, {})[1] == {"kind": "Other"}


def test_what_it_refuses_is_told_and_not_kept(program, tmp_path):
    program.write_text("#!/bin/sh\necho 'unknown field: profil' >&2; exit 1\n")
    with pytest.raises(Rejected, match="unknown field: profil"):
        istioctl.manifests(program, {})
    assert not list((tmp_path / "cache").rglob("*.json"))
