"""diagnose bears meshes of many clusters: what one check costs grows little faster than they do."""

import cProfile
import pstats

from snapshots import healthy

from isthmus.diagnosis import analysis


def diagnosed(clusters):
    """Return what is found in a healthy mesh of so many clusters, and in how many calls."""
    snapshot, checks = healthy(clusters - 1), analysis.select()
    with cProfile.Profile() as profile:
        found = analysis.analyze(snapshot, checks)
    return found, pstats.Stats(profile).total_calls


def test_a_healthy_mesh_of_many_clusters_has_no_finding_and_twice_as_many_cost_less_than_thrice():
    found, many = diagnosed(24)
    _, few = diagnosed(12)
    assert found == []
    assert many < 3 * few
