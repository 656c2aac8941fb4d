"""kubefedctl: what passes by itself is tried again, what a person must mend is told at once."""

import pytest

from isthmus.adapters import kubefedctl
from isthmus.errors import NotReady, Rejected

FATAL = """#!/bin/sh
echo 'F1124 join.go:129] Error: {said}' >&2
echo >&2
echo 'goroutine 1 [running]:' >&2
echo 'k8s.io/klog/v2.stacks' >&2
exit 255
"""


def program(folder, said):
    path = folder / "kubefedctl"
    path.write_text(FATAL.format(said=said))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('failed calling webhook "kubefedclusters.core.kubefed.io": connection refused', NotReady),
        ("no endpoints available for service", NotReady),
        ("clusterroles is forbidden", Rejected),
    ],
)
def test_only_what_passes_by_itself_is_tried_again(tmp_path, said, kind):
    with pytest.raises(kind) as caught:
        kubefedctl.join(
            program(tmp_path, said), tmp_path / "config", "beijing", "shanghai", "d161c69e"
        )
    assert said in caught.value.message
    assert caught.value.cluster == "shanghai"


def test_of_a_fatal_programs_goroutines_nothing_is_told(tmp_path):
    with pytest.raises(Rejected) as caught:
        kubefedctl.unjoin(
            program(tmp_path, "boom"), tmp_path / "config", "beijing", "shanghai", "d161c69e"
        )
    assert "boom" in str(caught.value) and "goroutine" not in str(caught.value)


ASKED = """#!/bin/sh
echo "$@" >> {said}
"""


def test_the_federation_knows_a_member_by_the_name_that_it_is_given(tmp_path):
    said = tmp_path / "said"
    path = program(tmp_path, "")
    path.write_text(ASKED.format(said=said))
    for verb in (kubefedctl.join, kubefedctl.unjoin):
        verb(path, tmp_path / "config", "beijing", "shanghai", "d161c69e")
    join, unjoin = said.read_text().splitlines()
    assert join.startswith("join d161c69e ") and unjoin.startswith("unjoin d161c69e ")
    for line in (join, unjoin):
        assert {"--cluster-context=shanghai", "--host-cluster-context=beijing"} <= {*line.split()}
