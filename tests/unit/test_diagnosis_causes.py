"""The root cause comes first, and what follows from it is folded under it; nothing else is."""

import pytest

from isthmus.diagnosis import causes
from isthmus.diagnosis.finding import DiagnosedFailure


def failure(failure_id, *clusters, severity="error", about=""):
    return DiagnosedFailure(
        id=failure_id,
        title=f"title of {failure_id}",
        severity=severity,
        clusters=clusters,
        object=about,
        evidence=("seen",),
        cause="cause",
        fix="fix",
    )


def told(found):
    return [(f.id, f.clusters, bool(f.explained_by)) for f in causes.fold(found, "beijing")]


def test_a_gateway_without_pods_explains_the_ways_to_it():
    found = [failure("F14", "beijing", "shanghai"), failure("F33", "shanghai")]
    assert told(found) == [
        ("F33", ("shanghai",), False),
        ("F14", ("beijing", "shanghai"), True),
    ]


def test_a_way_between_others_is_not_explained_by_it():
    found = [failure("F14", "beijing", "region3"), failure("F33", "shanghai")]
    assert [explained for *_, explained in told(found)] == [False, False]


def test_a_host_without_istiod_explains_what_is_missing_everywhere():
    found = [failure("F10", "shanghai"), failure("F53", "region3"), failure("F45", "beijing")]
    assert told(found)[0] == ("F45", ("beijing",), False)
    assert all(explained for *_, explained in told(found)[1:])


def test_the_host_s_gateway_is_the_remotes_way_to_their_control_plane():
    found = [failure("F10", "shanghai"), failure("F33", "beijing")]
    assert told(found) == [("F33", ("beijing",), False), ("F10", ("shanghai",), True)]


def test_another_remote_s_gateway_is_not():
    found = [failure("F10", "shanghai"), failure("F33", "region3")]
    assert [explained for *_, explained in told(found)] == [False, False]


def test_errors_come_before_warnings_whatever_explains_what():
    found = [failure("F38", "beijing", severity="warning"), failure("F46", "shanghai")]
    assert [f.id for f in causes.fold(found)] == ["F46", "F38"]


def test_a_warning_explains_no_error():
    found = [failure("F33", "shanghai", severity="warning"), failure("F14", "beijing", "shanghai")]
    assert not any(f.explained_by for f in causes.fold(found))


def test_two_that_explain_each_other_do_not_both_vanish():
    for rule in causes.RULES:
        for other in rule.consequences:
            found = causes.fold([failure(rule.root, "a", "b"), failure(other, "a", "b")])
            assert causes.roots(found), (rule.root, other)


def test_no_circle_leaves_a_mesh_without_a_cause():
    every = sorted(
        {r.root for r in causes.RULES} | {c for r in causes.RULES for c in r.consequences}
    )
    found = causes.fold([failure(i, "a") for i in every])
    assert causes.roots(found)


@pytest.mark.parametrize("severity", causes.SEVERITIES)
def test_alone_a_finding_is_its_own_root(severity):
    [found] = causes.fold([failure("F53", "beijing", severity=severity)])
    assert not found.explained_by


@pytest.mark.parametrize(
    "ids", [("F10", "F11", "F33"), ("F11", "F33", "F56"), ("F10", "F28", "F48")]
)
def test_three_that_explain_each_other_in_a_circle_leave_a_cause(ids):
    found = causes.fold([failure(i, "shanghai") for i in ids], "beijing")
    assert causes.roots(found)


def test_every_finding_is_reached_from_a_cause():
    every = sorted(
        {r.root for r in causes.RULES} | {c for r in causes.RULES for c in r.consequences}
    )
    for first in every:
        for second in every:
            found = causes.fold(
                [failure(first, "a", "b"), failure(second, "a"), failure("F53", "a")]
            )
            reached = {f.key for f in causes.roots(found)}
            for _ in found:
                reached |= {f.key for f in found if reached & set(f.explained_by)}
            assert reached == {f.key for f in found}
