"""The Helm post-renderer: a period for each readiness probe that has none, and nothing else."""

import subprocess
import sys

import yaml

from isthmus.adapters import helm_post_renderer

POD = {"containers": [{"name": "a", "readinessProbe": {"httpGet": {"path": "/ready"}}}]}
OWN = {"containers": [{"name": "b", "readinessProbe": {"periodSeconds": 7}}]}
OTHER = {"kind": "Service", "spec": {"livenessProbe": {"httpGet": {}}}}


def test_a_probe_without_a_period_gets_one_and_all_else_stays():
    [container] = helm_post_renderer.with_periods(POD)["containers"]
    assert container["readinessProbe"] == {"httpGet": {"path": "/ready"}, "periodSeconds": 1}
    assert helm_post_renderer.with_periods(OWN) == OWN
    assert helm_post_renderer.with_periods(OTHER) == OTHER


def test_it_is_a_filter_as_helm_runs_it():
    command = [sys.executable, "-m", helm_post_renderer.__name__]
    text = yaml.safe_dump_all([POD, None, OTHER])
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=True)
    assert list(yaml.safe_load_all(done.stdout)) == [helm_post_renderer.with_periods(POD), OTHER]
