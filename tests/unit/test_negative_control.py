"""The negative control: only a closed port that was seen, with its cause, is a success."""

from contextlib import contextmanager

import pytest
from world import environment

from isthmus.cli import negative_control
from isthmus.errors import Findings, Usage
from isthmus.providers.lab import provider
from isthmus.verification import Finding, Verification

GREEN = Verification(environment="pair", clients=[])


def red(kind="F14", about="beijing -> shanghai"):
    cause = Finding(kind=kind, about="beijing", text=f"{about}: {kind}")
    return Verification(environment="pair", clients=[], causes=(cause,))


@pytest.fixture
def ports(monkeypatch):
    """What is closed at the moment of each verification."""
    closed = []

    @contextmanager
    def shut(environment, cluster, port):
        closed.append((cluster.name, port))
        try:
            yield
        finally:
            closed.clear()

    monkeypatch.setattr(provider, "closed_gateway", shut)
    return closed


def run(ports, *verdicts):
    seen, left = [], iter(verdicts)

    def verify():
        seen.append(list(ports))
        return next(left)

    negative_control.run(environment(), verify, "text")
    return seen


def test_it_is_green_then_red_with_the_cause_then_green_again(ports, capsys):
    assert run(ports, GREEN, red(), GREEN) == [[], [("shanghai", 15443)], []]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "before: pass" and told[-2:] == [
        "open again: pass", "control: seen, and its cause named"]  # fmt: skip


@pytest.mark.parametrize(
    ("during", "words"),
    [
        (GREEN, "verify was green"),
        (red("F33"), "named another cause"),
        (red(about="beijing -> xian"), "named another cause"),
    ],
)
def test_a_closed_port_that_is_not_seen_is_a_finding(ports, during, words):
    with pytest.raises(Findings, match=words):
        run(ports, GREEN, during, GREEN)
    assert ports == []


def test_a_mesh_that_is_red_before_is_not_touched(ports):
    with pytest.raises(Findings, match="is not one mesh"):
        run(ports, red())


def test_a_mesh_that_stays_red_is_told(ports):
    with pytest.raises(Findings, match="is not one mesh"):
        run(ports, GREEN, red(), red())


def test_clusters_that_are_not_of_the_lab_are_left_alone():
    theirs = environment().model_copy(update={"provider": "kubeconfig"})
    with pytest.raises(Usage, match="is for provider lab"):
        negative_control.require_lab(theirs)
