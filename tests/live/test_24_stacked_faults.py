"""Two faults at once: the one that hides the other comes first, and both are named."""

import pytest
from live import diagnosing
from live.faults_pairs import PAIRS

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_both_faults_are_named_and_the_outer_one_first(mesh, first, second):
    outer, inner = diagnosing.load(first), diagnosing.load(second)
    try:
        inner.break_mesh(mesh)
        outer.break_mesh(mesh)
        seen = diagnosing.until_both_named(mesh, outer, inner)
    finally:
        outer.mend(mesh)
        inner.mend(mesh)
    after = diagnosing.until_healthy(mesh)
    assert seen.named, f"{outer.EXPECT} and {inner.EXPECT}:\n{diagnosing.told(seen.found)}"
    assert after.named, f"mended, and still:\n{diagnosing.told(after.found)}"
