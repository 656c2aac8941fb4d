"""The Mermaid of Prefect's own pages takes each picture and shows our words."""

import mimetypes
import os
import re
from pathlib import Path

import pytest
import stories
from stories import STEPS, environment, known, step

from isthmus.reporting import RunFacts, gantt, mermaid_theme, topology
from isthmus.verification import Finding

CHROMIUM = Path("/usr/bin/chromium")
"""Debian's; Playwright's own would be a download."""
EMPTY = "<!doctype html><div id=here style='width: 1100px'></div>"
DRAW = """async ([bundle, source]) => {
    const mermaid = (await import(`/v2/assets/${bundle}`)).t.default
    mermaid.initialize({startOnLoad: false, securityLevel: 'strict', theme: 'base'})
    const here = document.getElementById('here')
    here.innerHTML = (await mermaid.render('picture', source)).svg
    return here.innerText
}"""
"""As the page itself does it: lazy-markdown-*.js of Prefect 3.8.8."""
BASE = b"/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER"
"""What a server that starts replaces by its own path, in a copy (prefect/server/api/server.py)."""
WORDS_OF_MERMAID = ("end", "graph", "subgraph", "style", "click", "default", "class", "flowchart")


STYLE = "([sign, key]) => getComputedStyle(document.querySelector(`#here ${sign}`))[key]"


@pytest.fixture(scope="module")
def page():
    """A page that can draw what Prefect's page can."""
    if not CHROMIUM.exists():
        assert os.environ.get("CI") != "true", f"no {CHROMIUM}: apt-get install chromium"
        pytest.skip(f"no {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", _serve)
        page.goto("http://prefect.test/")
        yield page
        browser.close()


@pytest.fixture
def draw(page):
    """Return a function that draws as Prefect's page would, and returns the text in the drawing."""
    [bundle] = _pages().glob("assets/vendor-mermaid-*.js")
    return lambda source: page.evaluate(DRAW, [bundle.name, source])


def _pages():
    import prefect.server

    return Path(prefect.server.__file__).parent / "ui-v2"


def _serve(route):
    _, found, name = route.request.url.partition("http://prefect.test/v2/")
    if not found:
        return route.fulfill(body=EMPTY, content_type="text/html")
    kind = mimetypes.guess_type(name)[0] or "text/javascript"
    shipped = (_pages() / name).read_bytes()
    return route.fulfill(body=shipped.replace(BASE, b"/v2"), content_type=kind)


def test_a_mesh_is_drawn_with_its_addresses_and_the_share_of_answers_on_each_arrow(draw):
    shown = draw(topology.picture(known(environment()))).split("\n")
    for name, region in (
        ("beijing (host)", "cn-beijing-6"),
        ("shanghai (remote)", "cn-shanghai-6"),
    ):
        assert name in shown
        assert f"region {region}" in shown
    for word in ("network network2", "198.18.0.3:15443", "198.18.1.3:15443", "198.18.0.3:15012"):
        assert word in shown
    assert shown.count("50 % (30-70)") == 4
    assert f"stroke:{mermaid_theme.RED}" not in topology.picture(known(environment()))


def test_what_is_at_fault_is_red_and_says_why(draw):
    source = topology.picture(known(environment(), silent="shanghai"))
    assert {"0 % (30-70)", "finding: gateway down"} <= set(draw(source).split("\n"))
    assert re.findall(rf"^(\w+ \w+) stroke:{mermaid_theme.RED}", source, re.M) == [
        "style c1",
        "linkStyle 0",
    ]
    assert source.index('s0 -->|"0 ') < source.index("s1 -->")


@pytest.mark.parametrize("name", [*WORDS_OF_MERMAID, "1a", "a-b", "x" * 40])
def test_any_name_that_is_legal_can_be_drawn(draw, name):
    of = environment(name, "other")
    assert f"{name} (host)" in draw(topology.picture(known(of))).split("\n")
    drawn = draw(gantt.chart([step("wire", name, 0, 3)], stories.START + 3)).split("\n")
    assert {name, "3.0 s wire"} <= set(drawn)


def test_findings_with_any_sign_in_them_are_drawn_as_they_are(draw):
    kind = 'say "x" [y]{z} `w` <img src=x onerror=1> #35; ; | --> %%{init: {}}%% end & é 1. _e_'
    found = known(environment())
    reason = Finding(kind=f"{kind}\n second line", about="beijing", text="odd")
    found.add_result(found.verification.model_copy(update={"findings": (reason,)}))
    assert f"finding: {kind} second line" in draw(topology.picture(found)).split("\n")


@pytest.mark.parametrize("silent", [None, "x" * 38 + "-9"])
def test_ten_clusters_are_drawn_and_only_what_is_wrong_has_arrows(draw, silent):
    names = ["x" * 38 + f"-{n}" for n in range(10)]
    source = topology.picture(known(environment(*names), silent))
    shown = draw(source).split("\n")
    assert sum(line.endswith("(remote)") for line in shown) == 9
    assert source.count("-->") == (9 if silent else 0)


def test_two_clusters_in_one_network_are_joined_without_a_gateway(draw):
    found = known(environment())
    remote = found.environment.remotes[0].model_copy(update={"network": "network1"})
    found.environment = found.environment.model_copy(update={"remotes": [remote]})
    source = topology.picture(found)
    assert 's0 -->|"50 #37; (30-70)"| s1' in source
    draw(source)


def test_as_much_is_drawn_as_a_run_that_failed_early_knew(draw):
    early = RunFacts(environment())
    assert topology.picture(early) == ""
    early.add_result(stories.access("beijing"))
    assert draw(topology.picture(early)).split("\n")[0] == "beijing (host)"
    early.add_result(stories.gateway(early.environment, "beijing"))
    assert "198.18.0.3:15443" in draw(topology.picture(early)).split("\n")


def test_a_client_without_any_good_answer_is_drawn(draw):
    found = known(environment())
    none = found.clients["beijing"].model_copy(update={"answers": {"beijing": 0, "shanghai": 0}})
    found.clients["beijing"] = none
    assert "0 % (0-0)" in draw(topology.picture(found)).split("\n")


def test_the_steps_are_drawn_by_cluster_with_the_critical_path_marked(draw):
    source = gantt.chart(STEPS, stories.START + 20)
    shown = draw(source).split("\n")
    assert {"beijing", "shanghai", "9.2 s create cluster", "2.0 s FAILED install remote"} <= {
        *shown
    }
    assert source.count(":crit") == 3


def test_the_steps_can_be_read_on_the_dark_ground_that_the_page_gives_them(draw, page):
    draw(gantt.chart(STEPS, stories.START + 20))
    assert page.evaluate(STYLE, [".section", "opacity"]) == "1"
    assert page.evaluate(STYLE, [".sectionTitle", "fill"]) == "rgb(31, 35, 40)"
    assert page.evaluate(STYLE, [".tick text", "fill"]) == "rgb(140, 149, 159)"


@pytest.mark.parametrize("seconds", [0, 0.4, 6, 45, 700, 4000, 90_000, 500_000])
def test_times_below_the_steps_do_not_run_into_each_other(draw, seconds):
    shown = draw(gantt.chart([step("wait", "beijing", 0, seconds)], stories.START + seconds))
    assert len(re.findall(r"^\d\d:\d\d:\d\d$", shown, re.M)) <= gantt.TICKS + 1


def test_names_of_steps_with_any_sign_in_them_can_be_drawn(draw):
    hostile = [
        "a: b",
        "click x",
        "title x",
        "#x;",
        "%% x",
        "é",
        "section",
        "",
        "after a, 3d",
        '"x"',
    ]
    steps = [step(name, name or None, n, n + 1) for n, name in enumerate(hostile)]
    assert draw(gantt.chart(steps, stories.START + 20)).count("1.0 s") == len(hostile)


def test_a_hundred_steps_and_one_that_took_no_time_can_be_drawn(draw):
    steps = [step(f"step {n}", f"cluster-{n % 10}", n / 10, n / 10) for n in range(100)]
    assert draw(gantt.chart(steps, stories.START + 10)).count("0.0 s step") == 100
