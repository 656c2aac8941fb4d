"""The stories that only deployments tell: rebuild, and the environment of two regions."""

import pytest
from world import REGIONS, environment

from isthmus.errors import BadEnvironment, Rejected, Unprepared

pytestmark = pytest.mark.usefixtures("prefect")


def rebuild():
    from flows.rebuild import rebuild

    return rebuild(environment())


def region_pair(*regions, **choices):
    from flows.region_pair import region_pair

    return region_pair(*regions, **choices)


def at(told, kind, step):
    return [index for index, (k, name, _) in enumerate(told) if (k, name) == (kind, step)]


def test_rebuild_takes_all_away_before_it_builds_and_proves_it(world, told):
    world.disposable = True
    verdict = rebuild()
    assert verdict.verdict == "pass"
    assert world.deleted == 1
    assert max(at(told, "done", "forget environment")) < min(at(told, "started", "create cluster"))


def test_rebuild_of_clusters_that_stay_takes_out_what_was_put_in(world, told):
    rebuild()
    told.clear()
    assert rebuild().verdict == "pass"
    assert sorted(world.joins) == sorted(REGIONS)
    assert len(at(told, "done", "leave federation")) == len(REGIONS)
    assert max(at(told, "done", "remove objects")) < min(at(told, "started", "install host"))


def test_what_could_not_be_built_again_is_left_standing(world, monkeypatch):
    world.disposable = True
    rebuild()

    def lacking(environment):
        raise Unprepared("this machine lacks a program")

    monkeypatch.setattr(world, "check", lacking)
    with pytest.raises(Unprepared):
        rebuild()
    assert world.deleted == 1


def test_nothing_is_built_on_what_could_not_be_taken_away(world, told, monkeypatch):
    world.disposable = True

    def stuck(environment):
        raise Rejected("a region cannot be deleted")

    monkeypatch.setattr(world, "delete", stuck)
    with pytest.raises(Rejected, match="cannot be deleted"):
        rebuild()
    assert at(told, "started", "create cluster") == []


def test_the_environment_of_two_regions_is_called_after_them(world, told):
    verdict = region_pair(*REGIONS)
    assert verdict.environment == "-".join(REGIONS)
    assert verdict.verdict == "pass"


def test_two_regions_that_make_no_environment_end_the_run_before_a_step(world, told):
    with pytest.raises(BadEnvironment, match="must be another region than the host's"):
        region_pair("beijing", "beijing")
    assert told == []


def test_the_run_s_name_ends_with_the_environment_s(world):
    from prefect import get_client

    from flows.region_pair import region_pair as flow

    state = flow("Beijing", "beijing", return_state=True)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    assert run.name == "region-pair beijing-beijing"
