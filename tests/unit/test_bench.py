"""The bench: its frame, its numbers, its verdict; nothing is built and nothing is timed."""

import json
import os
import re
import subprocess
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bench import __main__ as front
from bench import ground, manifests, product, regions, table, walk
from bench.diagnosis import Analysis
from bench.ground import Cost
from bench.measured import BenchResult
from bench.product import ProductRun
from bench.walk import Lap, Walk
from isthmus import environment
from isthmus.cli.run_history import RunRecord
from isthmus.environment.rules import LAB_REGIONS
from isthmus.errors import Findings, NotReady
from isthmus.providers.lab.images import names
from isthmus.providers.lab.region import Region
from isthmus.providers.lab.tools import Toolchain
from isthmus.timeline import Step

TOOLS = Toolchain(
    Path("/tools"), Path("/tools"), 36, Path("/etcd"), Path("/envoy"), Path("/share"), "key"
)
ANALYSIS = Analysis(Cost(7.3, 8.0), 526_000_000)
STAT = "cpu  100 10 50 9000 700 3 7 40 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"


def run_of(*steps: Step) -> RunRecord:
    return RunRecord("bench", "up", 0.0, steps[-1].end or 0.0, "done", steps)


def measured(up: float, again: float, diagnosed=4.6) -> ProductRun:
    create = Step("c", "create cluster", "beijing", 1.0, 9.0, "done")
    install = Step("i", "install host", "beijing", 9.0, up - 1, "done", ("c",))
    looked = Step("l", "look again", None, 0.5, again, "done")
    costs = Cost(up, 20.0), Cost(again, 2.0), Cost(3.0, 1.0), Cost(diagnosed, 3.0)
    return ProductRun(*costs, run_of(create, install), run_of(looked))


def bench(ups=(30.0,), again=5.0, walked=(68.0,), quiet=True) -> BenchResult:
    laps = (Lap("regions", 8.8), Lap("host", 23.0), Lap("verified", 2.3))
    walks = tuple(Walk(Cost(seconds, 60.0), laps) for seconds in walked)
    products = tuple(measured(up, again) for up in ups)
    return BenchResult(
        "2 cores, 24 GiB, Linux 6.1", "2026-11-24 12:00 UTC", quiet, walks, products, ANALYSIS
    )


def test_cpu_seconds_are_those_of_work_and_not_of_idling_or_waiting_for_disks():
    assert ground.busy_ticks(STAT) == 100 + 10 + 50 + 3 + 7


def test_the_machine_is_described_without_its_name():
    assert os.uname().nodename not in ground.machine().split()
    assert f"{os.cpu_count()} cores" in ground.machine()


def test_a_quiet_machine_is_measured_at_once(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.4, 9.0, 9.0))
    said: list[str] = []
    assert ground.await_quiet(said.append)
    assert said == []


def test_a_busy_machine_is_waited_for_and_that_is_said(monkeypatch):
    loads = iter([(3.0, 0, 0), (0.9, 0, 0)])
    monkeypatch.setattr(os, "getloadavg", lambda: next(loads))
    said: list[str] = []
    assert ground.await_quiet(said.append)
    assert len(said) == 1 and "3.00" in said[0]


def test_a_machine_that_stays_busy_is_measured_all_the_same_and_that_is_said(monkeypatch):
    def never(*_, **__):
        raise NotReady("a quiet machine")

    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0, 0))
    monkeypatch.setattr(ground.polling, "until", never)
    said: list[str] = []
    assert not ground.await_quiet(said.append)
    assert "mean less" in said[-1]


def test_the_bench_s_folder_lies_beside_the_images_and_is_gone_after(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(KeyboardInterrupt), ground.folder() as folder:
        (folder / "key").write_text("secret")
        assert folder.parent == tmp_path / "cache"
        raise KeyboardInterrupt
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_folder_of_a_bench_that_was_killed_goes_and_that_of_one_that_runs_stays(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, os.getppid()):
        (tmp_path / f"{ground.FOLDER}{pid}").mkdir()
    with ground.folder() as folder:
        there = {path.name for path in tmp_path.iterdir()}
    assert there == {folder.name, f"{ground.FOLDER}{os.getppid()}"}


def test_each_lap_takes_from_the_one_before_and_the_last_one_ends_the_walk():
    clock = iter([8.0, 10.5])
    lines = iter(["noise\n", "== regions\n", "== verified\n", "never read\n"])
    said: deque[str] = deque()
    assert walk.read(lines, lambda: next(clock), said) == (
        Lap("regions", 8.0),
        Lap("verified", 2.5),
    )
    assert list(said) == ["noise\n"]
    assert next(lines) == "never read\n"


def test_a_walk_that_stops_early_has_no_last_lap():
    laps = walk.read(["== regions\n", "gave up on: dns\n"], lambda: 8.0, [])
    assert [lap.name for lap in laps] == ["regions"]


def test_the_script_is_bash_and_names_no_place_of_this_machine():
    subprocess.run(["bash", "-n", walk.SCRIPT], check=True)
    text = walk.SCRIPT.read_text()
    assert str(walk.SCRIPT.parents[1]) not in text
    assert str(Path.home()) + "/" not in text


def test_a_lap_is_a_line_of_its_own_even_behind_progress_that_ends_without_one():
    [lap] = [x for x in walk.SCRIPT.read_text().splitlines() if x.startswith("lap() ")]
    script = f"{lap}\nprintf '- Processing resources for Istiod.'; lap host"
    lines = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    found = walk.read(lines.stdout.splitlines(keepends=True), lambda: 6.0, [])
    assert found == (Lap("host", 6.0),)


def test_the_script_s_last_lap_is_the_one_that_is_waited_for():
    laps = [line for line in walk.SCRIPT.read_text().splitlines() if line.startswith("lap ")]
    assert laps[-1] == f"lap {walk.LAST}"


def test_every_file_that_the_script_reads_is_written_beforehand(tmp_path):
    manifests.write(tmp_path)
    for name in ("host", "remote", "gateway", "coredns", "expose", "callers"):
        assert list(yaml.safe_load_all((tmp_path / f"{name}.yaml").read_text())), name
        assert f'"$WALK/{name}.yaml"' in walk.SCRIPT.read_text()
    assert {path.name for path in (tmp_path / "cacerts").iterdir()} == {
        "ca-cert.pem",
        "ca-key.pem",
        "root-cert.pem",
        "cert-chain.pem",
    }


def test_the_walk_runs_the_product_s_images(tmp_path):
    manifests.write(tmp_path)
    for name in ("host", "remote", "gateway"):
        spec = yaml.safe_load((tmp_path / f"{name}.yaml").read_text())["spec"]
        assert (spec["hub"], spec["tag"]) == (names.HUB, names.TAG)
    sample = (tmp_path / "federated-deployment.yaml").read_text()
    assert names.helloworld("v1") in sample and names.helloworld("v2") in sample


def test_two_operators_of_one_cluster_have_different_names(tmp_path):
    manifests.write(tmp_path)
    remote, gateway = (
        yaml.safe_load((tmp_path / f"{name}.yaml").read_text()) for name in ("remote", "gateway")
    )
    assert remote.get("metadata", {}).get("name") != gateway["metadata"]["name"]


@pytest.fixture
def place(tmp_path):
    golden = tmp_path / "golden"
    golden.mkdir()
    found = Region("a", "region-a", 0, tmp_path / "a", regions.NETWORK)
    regions.prepare(found, TOOLS, golden)
    return found


def told(place):
    files = [file for file in (place.folder / "etc").rglob("*") if file.is_file()]
    parts = [part for command in regions.commands(place, TOOLS).values() for part in command]
    return [*parts, *(file.read_text() for file in files)]


def test_no_program_of_the_walk_s_regions_shares_a_place_with_another_region(place):
    text = "\n".join(told(place))
    assert text.count("/run/a/") == text.count("/run/") > 0


def test_every_file_that_a_region_of_the_walk_is_told_to_read_is_there(place):
    said = {path for text in told(place) for path in re.findall(r"/run/a/region(/[\w./-]+)", text)}
    read = {path for path in said if path.startswith(("/pki/", "/etc/", "/kubeconfig"))}
    assert read
    assert [path for path in read if not (place.folder / path[1:]).exists()] == []


@pytest.mark.parametrize("remotes", [1, len(product.REMOTES)])
def test_the_bench_s_environment_is_one_that_up_accepts(tmp_path, remotes):
    file = tmp_path / "bench.yaml"
    file.write_text(product.environment(remotes))
    found = environment.load(file)
    assert (found.name, len(found.remotes)) == (product.NAME, remotes)


def test_nine_remotes_are_all_that_the_lab_takes():
    assert len(product.REMOTES) == LAB_REGIONS - 1 == 9


def test_what_a_command_costs_in_memory_is_its_own_and_not_its_parents(tmp_path):
    """This process' own is not in it, as it is in what wait4(2) says."""
    block = "x = b'x' * {}; print('made', flush=True); import time; time.sleep(0.3)"
    small, large = (
        ground.watched([sys.executable, "-c", block.format(size)], {}) for size in (1, 80_000_000)
    )
    assert small[:2] == large[:2] == (0, "made\n")
    assert 0 < small[2] < 50_000_000 < large[2] - small[2]
    assert ground.watched(["false"], {})[0] == 1
    assert ground.peak(tmp_path / "status") == 0


def wide(up=120.0, memory=300_000_000, diagnosed=12.0) -> BenchResult:
    one = replace(measured(30.0, 5.0), memory=200_000_000)
    nine = replace(measured(up, 20.0, diagnosed), memory=memory)
    return replace(bench(), products=(one,), remotes=9, wide=(nine,))


def test_nine_remotes_are_told_in_times_of_one():
    lines = table.grid(table.rows(wide())).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [line[:3] for line in cells[11:]] == [
        ["isthmus up, 9 remotes, from nothing", "120.0 s", "150.0 s"],
        ["in times of one remote", "4.0", "5"],
        ["isthmus up, 9 remotes, again", "20.0 s", ""],
        ["memory of isthmus up, 9 remotes", "300 MB", "400 MB"],
        ["in times of one remote", "1.5", "2"],
        ["isthmus diagnose, 9 remotes", "12.0 s", ""],
        ["in times of one remote", "2.6", "5.0"],
    ]
    assert table.reasons(wide()) == []
    assert table.document(wide())["wide"][0]["memory"] == 300_000_000


def test_nine_remotes_that_take_too_much_are_a_finding_with_where_it_went():
    [slow] = table.reasons(wide(up=180.0))
    assert "9 remotes took 6.0 times as long" in slow and "install host (beijing)" in slow
    [heavy] = table.reasons(wide(memory=500_000_000))
    assert "9 remotes took 2.5 times the memory" in heavy
    [linear] = table.reasons(wide(diagnosed=24.0))
    assert "diagnose with 9 remotes took 5.2 times as long" in linear


def test_a_diagnosis_that_takes_too_long_or_too_much_is_a_finding():
    [slow] = table.reasons(replace(bench(), products=(measured(30.0, 5.0, diagnosed=10.1),)))
    assert "diagnose took 10.1 s, more than 10" in slow
    for analysis in (Analysis(Cost(30.1, 0), 0), Analysis(Cost(1.0, 0), 2_100_000_000)):
        [reason] = table.reasons(replace(bench(), analysis=analysis))
        assert "checking 256 clusters took" in reason


def test_remotes_are_measured_only_if_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(front, "_measure", lambda runs, remotes: asked.append(remotes) or wide())
    for words in ([], ["--remotes", "9"]):
        CliRunner().invoke(front.bench, words)
    assert asked == [0, 9]
    assert CliRunner().invoke(front.bench, ["--remotes", "10"]).exit_code == 2


def test_limits_that_hold_give_no_reason():
    assert table.reasons(bench(ups=(47.0,), again=9.9)) == []


def test_an_up_that_is_too_slow_says_where_its_time_went():
    [reason] = table.reasons(bench(ups=(60.0,)))
    assert "0.88 of the walk" in reason
    assert "install host (beijing) 50.0 s, create cluster (beijing) 8.0 s" in reason
    assert "outside of it 2.0 s" in reason
    assert "host 23.0 s" in reason


def test_an_up_on_what_stands_that_is_too_slow_says_where_its_time_went():
    [reason] = table.reasons(bench(again=12.0))
    assert "12.0 s" in reason and "look again 11.5 s" in reason


def test_the_median_counts_and_not_the_best_or_the_worst():
    found = bench(ups=(90.0, 34.0, 20.0), walked=(68.0, 60.0, 99.0))
    assert found.ratio == 0.5
    assert found.product.up.seconds == 34.0
    assert found.walk.cost.seconds == 68.0


def test_the_table_shows_medians_limits_and_cpu_seconds_side_by_side():
    lines = table.grid(table.rows(bench())).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(line) for line in lines}) == 1
    assert cells[2][1:4] == ["68.0 s", "", "60.0"]
    assert cells[3][1:4] == ["30.0 s", "47.6 s", "20.0"]
    assert cells[4][1:4] == ["0.44", "0.7 (aim 0.55)", "0.33"]
    assert cells[5][1:4] == ["5.0 s", "10.0 s", "2.0"]


def test_figures_of_a_busy_machine_say_so():
    assert "mean less" in table.caption(bench(quiet=False))
    assert "mean less" not in table.caption(bench())


@pytest.fixture
def measure(monkeypatch):
    def fake(found: BenchResult) -> None:
        monkeypatch.setattr(front, "_measure", lambda runs, remotes: found)

    return fake


def test_the_numbers_go_to_a_file_and_the_table_with_its_critical_path_to_the_terminal(
    measure, tmp_path
):
    measure(bench())
    file = tmp_path / "bench.json"
    done = CliRunner().invoke(front.bench, ["--json", str(file)])
    assert done.exit_code == 0
    assert "* install host" in " ".join(done.stdout.split())
    assert "critical path: 28.0 s" in done.stdout
    document = json.loads(file.read_text())
    assert (document["kind"], document["verdict"], document["reasons"]) == ("Bench", "pass", [])
    assert document["walk"][0]["cost"] == {"cpu": 60.0, "seconds": 68.0}


def test_a_passed_limit_is_a_finding_after_all_has_been_written(measure, tmp_path):
    measure(bench(ups=(60.0,)))
    file = tmp_path / "docs/bench.md"
    done = CliRunner().invoke(front.bench, ["--markdown", str(file)])
    assert isinstance(done.exception, Findings) and done.exception.exit_code == 79
    assert "Every limit holds: no" in file.read_text()


def test_the_page_names_the_machine_s_shape_and_the_day(measure, tmp_path):
    measure(bench())
    file = tmp_path / "bench.md"
    CliRunner().invoke(front.bench, ["--markdown", str(file)])
    text = file.read_text()
    assert "2 cores, 24 GiB, Linux 6.1, 2026-11-24 12:00 UTC" in text
    assert "Every limit holds: yes" in text
    assert str(tmp_path) not in text
