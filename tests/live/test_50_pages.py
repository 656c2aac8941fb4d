"""What an operator does in Prefect's pages: signs in, fills the form, watches the run."""

import os
import shutil
import time
from pathlib import Path

import pytest
from live.machine import Machine
from live.operators import Operator, deployments
from live.pages import chromium, expect, opened
from prefects import Runs

from isthmus import state

HOST, REMOTE = "cn-beijing-6", "cn-shanghai-2"
PAIR = f"{HOST}-{REMOTE}"
MINUTES = 600.0
"""Seconds that a build may take, with images to be made and a compiler beside it."""


@pytest.fixture(scope="module")
def operator(isthmus, tmp_path_factory):
    chromium()
    home = state.cache() / f"test-home-pages-{os.getpid()}"
    home.mkdir(mode=0o700)
    machine = Machine()
    operator = Operator(type(isthmus)(home), home)
    folder = tmp_path_factory.mktemp("operator")
    operator.asked = Runs(home / "server", folder)
    operator.url = operator.isthmus.run("server", "start")[0].strip()
    operator.isthmus.run("deploy", deployments(folder))
    yield operator
    if PAIR in operator.built():
        operator.isthmus.run("down", PAIR)
    operator.isthmus.run("server", "stop", "--now")
    assert machine.left_of(home / "environments" / PAIR) == []
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def pages(operator, tmp_path_factory):
    """The pages, before anybody has signed in. Pictures are kept where ISTHMUS_PICTURES says."""
    kept = os.environ.get("ISTHMUS_PICTURES")
    pictures = Path(kept) if kept else tmp_path_factory.mktemp("pictures")
    with opened(operator.url, pictures) as pages:
        yield pages


def test_whoever_does_not_know_the_words_is_not_let_in(operator, pages):
    pages.sign_in("isthmus:guess")
    expect(pages.page.get_by_text("Invalid credentials")).to_be_visible()


def test_the_words_that_server_start_named_open_the_pages(operator, pages):
    pages.sign_in(operator.words)
    expect(pages.page.get_by_role("link", name="Deployments", exact=True)).to_be_visible()


def test_the_form_says_what_each_field_means_and_offers_what_may_be_chosen(operator, pages):
    pages.open_form("region-pair")
    expected = ["Host region", "Remote region", "Provider", "Stack", "Federation"]
    assert pages.labels()[:5] == expected
    expect(pages.field("Host region")).to_contain_text(
        "Where the cluster with the control plane is"
    )
    expect(pages.field("Provider")).to_contain_text("Where clusters come from")
    assert {HOST, REMOTE} <= set(pages.choices("Host region"))
    assert pages.choices("Provider") == ["lab", "kubeconfig", "kce", "kind"]
    assert pages.choices("Federation") == ["kubefed", "direct"]
    assert pages.chosen("Provider") == "lab" and pages.chosen("Federation") == "kubefed"
    assert (
        pages.choices("Stack") == ["istio-1.31", "guide"] and pages.chosen("Stack") == "istio-1.31"
    )
    pages.picture("form")


def test_a_wrong_value_is_refused_beside_its_field_before_there_is_a_run(operator, pages):
    pages.open_form("region-pair")
    pages.write("Host region", "no region!", kind="Another")
    pages.choose("Remote region", REMOTE)
    assert pages.submit().status == 409
    expect(pages.field("Host region")).to_contain_text("'no region!'")
    assert operator.runs() == []


def test_the_form_of_an_environment_refuses_a_name_with_the_rule(operator, pages):
    pages.open_form("build")
    name = pages.field("Name").first
    name.get_by_role("textbox").fill("Not A Label")
    assert pages.submit().status == 409
    expect(name).to_contain_text("'Not A Label' does not match")
    expect(name).to_contain_text("a-z, 0-9 and -")
    pages.picture("form-environment")
    assert operator.runs() == []


def test_what_only_two_fields_together_make_wrong_ends_the_run_at_once_and_says_the_rule(
    operator, pages
):
    pages.open_form("region-pair")
    pages.choose("Host region", HOST)
    pages.choose("Remote region", HOST)
    pages.open_run(pages.submitted()["id"])
    assert pages.await_end(MINUTES) == "Failed"
    expect(pages.tab("Details")).to_contain_text("must be another region than the host's")
    pages.picture("run-refused")


def test_a_run_from_the_form_is_watched_to_its_end(operator, pages, capsys):
    pages.open_form("region-pair")
    pages.choose("Host region", HOST)
    pages.choose("Remote region", REMOTE)
    clicked = time.time()
    operator.run = pages.submitted()["id"]
    pages.open_run(operator.run)
    began = operator.first_step(operator.run)
    with capsys.disabled():
        print(f"\nfrom the click to the first step: {began - clicked:.1f} s")
    ended = pages.await_end(MINUTES)
    assert ended == "Completed", operator.asked.state(operator.run)["message"]


def test_the_graph_shows_every_step(operator, pages):
    pages.open_run(operator.run)
    expect(pages.page.get_by_role("main")).to_contain_text(f"{operator.steps()} Task runs")
    expect(pages.graph()).to_be_visible()
    pages.picture("run")


def test_the_logs_of_the_run_are_on_its_page(operator, pages):
    pages.open_run(operator.run)
    expect(pages.tab("Logs")).to_contain_text("Beginning flow run")


def test_the_mesh_is_drawn_with_addresses_and_shares(operator, pages):
    drawn = pages.open_artifact(operator.run, f"topology-{PAIR}").locator("svg[id^=mermaid]")
    for text in (f"{HOST} (host)", f"{REMOTE} (remote)", ":15443", ":15012", "% (30-70)"):
        expect(drawn).to_contain_text(text)
    pages.picture("artifact-topology")


def test_the_steps_are_drawn_over_time_and_the_page_says_what_made_it_long(operator, pages):
    body = pages.open_artifact(operator.run, f"steps-{PAIR}")
    expect(body.locator("svg[id^=mermaid]")).to_contain_text("install host")
    expect(body).to_contain_text("critical path")
    pages.picture("artifact-steps")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("verification", [HOST, REMOTE, "100", "pass"]),
        ("endpoints", [HOST, REMOTE, ":15443"]),
        ("clusters", [HOST, REMOTE, "network1", "network2"]),
    ],
)
def test_the_tables_say_who_answered_whom_and_where_everything_is(operator, pages, kind, words):
    table = pages.open_artifact(operator.run, f"{kind}-{PAIR}").get_by_role("table")
    for word in words:
        expect(table).to_contain_text(word)
    if kind == "verification":
        pages.picture("artifact-verification")


def test_the_outcome_says_what_to_type_next(operator, pages):
    body = pages.open_artifact(operator.run, f"outcome-{PAIR}")
    expect(body).to_contain_text(f"isthmus status {PAIR}")


def test_the_command_line_goes_on_with_what_the_pages_built(operator):
    assert operator.isthmus.document("verify", PAIR)["verdict"] == "pass"


def test_the_browser_asked_nobody_but_our_own_server(operator, pages):
    assert pages.outside() == []
