"""What a run leaves to read: what failed comes first, what to do is there, and nothing secret."""

import json
import re
from pathlib import Path

import pytest
import stories
from stories import SECRETS, START, STEPS, environment, known, step, story

from isthmus.errors import NotReady, Rejected, Unprepared, combine_errors
from isthmus.reporting import (
    MarkdownArtifact,
    RunFacts,
    RunFailure,
    TableArtifact,
    build_artifacts,
    progress_key,
    progress_line,
    redact,
    topology,
)
from isthmus.reporting import escape as text
from isthmus.verification import Finding, Verification, VerificationFailed

PAIR = environment()


def left(of):
    """Return what a story leaves, by the part of its key before the environment's name."""
    found = build_artifacts(of)
    assert all(item.key.endswith(f"-{of.environment}") for item in found)
    return {item.key.removesuffix(f"-{of.environment}"): item for item in found}


def outcome(of):
    return left(of)["outcome"].markdown


def failed(error, **more):
    return story(failure=RunFailure.of(error), **more)


def unproven():
    verdict = stories.verification(PAIR, silent="shanghai")
    with pytest.raises(VerificationFailed) as caught:
        verdict.raise_for_findings()
    return caught.value


def whole(of):
    """Return all the text that a story leaves."""
    return json.dumps(
        [
            (i.key, i.description, i.markdown if isinstance(i, MarkdownArtifact) else i.rows)
            for i in of
        ],
        ensure_ascii=False,
    )


def test_a_run_that_ended_well_leaves_a_picture_tables_the_steps_and_what_to_type_next():
    found = left(story())
    kinds = {"outcome": MarkdownArtifact, "topology": MarkdownArtifact, "steps": MarkdownArtifact}
    kinds |= dict.fromkeys(("verification", "endpoints", "clusters"), TableArtifact)
    assert {key: type(item) for key, item in found.items()} == kinds
    assert "isthmus status silk-road" in found["outcome"].markdown
    assert "export KUBECONFIG=$(isthmus kubeconfig silk-road)" in found["outcome"].markdown
    assert "silk-road is one mesh, proven by traffic" in found["outcome"].markdown


def test_every_artifact_says_of_which_run_it_is_and_when_that_ended():
    for item in build_artifacts(story()):
        assert item.description.endswith("Run build silk-road, 2026-11-24 22:28:44 UTC")
        assert re.fullmatch(r"[a-z0-9-]+", item.key)
    assert re.fullmatch(r"[a-z0-9-]+", progress_key("silk-road"))


def test_what_failed_stands_first_with_the_cluster_the_reason_and_what_to_do():
    error = Rejected("403 Forbidden", cluster="shanghai", step="join", hint="ask for rights")
    first, _, rest = outcome(failed(error)).partition("\n")
    assert first == "## silk-road: `up` failed at step join of shanghai after 20.0 s"
    order = ["403 Forbidden", "ask for rights", "isthmus up silk-road", "install remote"]
    assert sorted(order, key=rest.index) == order


def test_a_run_of_a_deployment_can_be_retried_where_one_looks_at_it_and_others_cannot():
    error = NotReady("no address")
    retry = "Retry [this run](http://127.0.0.1:4200/runs/1)"
    assert retry in outcome(failed(error, deployed=True))
    assert "Retry" not in outcome(failed(error))
    assert "isthmus verify silk-road" in outcome(failed(error, verb="verify"))


def test_the_step_that_is_told_first_is_not_told_twice():
    error = Rejected("403", cluster="shanghai", step="install remote")
    assert "Failed too" not in outcome(failed(error))
    assert "Failed too" in outcome(failed(Rejected("403", cluster="beijing", step="join")))


def test_an_unproven_mesh_lists_every_finding_with_its_evidence_and_its_command():
    error = unproven()
    page = outcome(failed(error, found=known(PAIR, silent="shanghai"), steps=STEPS[:3]))
    assert page.startswith("## silk-road: `up` failed at step verify")
    for finding in error.verification.all_findings:
        evidence, _, command = finding.text.rpartition(". Type: ")
        assert text.prose(evidence) in page
        assert f"```\n{command}\n```" in page


def test_findings_make_a_run_a_failure_even_if_nothing_was_raised():
    assert "failed" in outcome(story(known(PAIR, silent="shanghai"))).splitlines()[0]


def test_a_finding_that_names_no_command_is_still_told():
    found = known(PAIR)
    reason = Finding(kind="odd", about="beijing", text="something is odd")
    found.add_result(found.verification.model_copy(update={"findings": (reason,)}))
    assert "**odd** (beijing): something is odd" in outcome(story(found))


def test_whatever_ended_a_run_has_a_reason():
    assert RunFailure.of(ValueError("3 is no name")).reason == "ValueError: 3 is no name"
    assert "KeyboardInterrupt" in RunFailure.of(KeyboardInterrupt()).reason
    assert "no reason given" in outcome(failed(Rejected("")))


def test_whatever_ended_a_run_there_is_a_first_thing_to_do():
    """A killed region showed what a client said, and nothing to type."""
    lost = Rejected("connection refused", cluster="shanghai", step="wire")
    assert "see how shanghai is: isthmus status silk-road" in outcome(failed(lost))
    assert "isthmus status" in outcome(failed(ValueError("3 is no name")))


def test_what_is_not_known_is_missing_and_never_invented():
    nothing = left(story(RunFacts(PAIR), failure=RunFailure("no room")))
    assert set(nothing) == {"outcome", "steps"}
    assert set(left(story(RunFacts(PAIR), steps=(), failure=RunFailure("no room")))) == {"outcome"}
    some = RunFacts(PAIR)
    some.add_result(stories.access("beijing"))
    found = left(story(some, failure=RunFailure("no room")))
    assert set(found) == {"outcome", "topology", "clusters", "steps"}
    assert "shanghai" not in found["topology"].markdown
    [row] = found["clusters"].rows
    assert (row["cluster"], row["gateway"], row["API server"]) == ("beijing", "", "")


def test_clients_that_nobody_judged_yet_are_shown_all_the_same():
    found = known(PAIR)
    found.verification = None
    assert [row["client"] for row in left(story(found))["verification"].rows] == [
        "beijing",
        "shanghai",
    ]


def test_a_teardown_leaves_the_last_picture_alone():
    found = left(story(verb="down"))
    assert set(found) == {"outcome", "steps"}
    assert "silk-road is deleted" in found["outcome"].markdown
    assert "isthmus status" not in found["outcome"].markdown


def test_the_tables_say_who_and_where_and_what_was_expected():
    found = known(PAIR, silent="shanghai")
    found.servers["beijing"] = "https://198.18.0.2:6443"
    tables = left(story(found))
    assert tables["clusters"].rows[0] == {
        "cluster": "beijing",
        "role": "host",
        "region": "cn-beijing-6",
        "network": "network1",
        "API server": "https://198.18.0.2:6443",
        "gateway": "198.18.0.3:15443",
        "istiod endpoint": "198.18.0.3:15012",
    }
    assert tables["verification"].rows[0]["from shanghai"] == "0 (30-70)"
    assert tables["verification"].rows[0]["verdict"] == "fail"
    assert tables["endpoints"].rows[0] == {
        "client": "beijing",
        "expected": "10.244.0.1:5000, 198.18.1.3:15443",
        "observed": "10.244.0.1:5000, 198.18.1.3:15443",
        "missing": "",
        "unexpected": "",
    }


def test_an_endpoint_that_is_missing_or_too_many_is_named():
    found = known(PAIR)
    client = found.clients["beijing"].model_copy(update={"observed_endpoints": ["10.0.0.9:5000"]})
    found.clients["beijing"] = client
    row = left(story(found))["endpoints"].rows[0]
    assert row["missing"] == "10.244.0.1:5000, 198.18.1.3:15443"
    assert row["unexpected"] == "10.0.0.9:5000"


def test_the_documentation_shows_a_picture_as_it_is_drawn():
    page = (Path(__file__).parents[2] / "docs/artifacts.md").read_text()
    [shown] = re.findall(r"^```mermaid\n(.*?)\n```$", page, re.M | re.S)
    assert shown == topology.picture(known(PAIR, silent="shanghai"))
    keys = set(re.findall(r"^\| `(\w+)-NAME`", page, re.M))
    assert keys == {*left(story()), "progress", "diagnosis", "services"}


def test_a_diagnosis_leaves_its_findings_as_they_are_printed():
    from snapshots import changed, healthy

    from isthmus.diagnosis import analysis

    ill = changed(healthy(), "beijing", remote_secrets=[])
    told = story()
    told.facts.add_result(analysis.diagnose(ill, analysis.select(["F05"])))
    page = left(told)["diagnosis"].markdown
    assert "error F05 shanghai" in page and "  type:  " in page
    assert "1 error" in page


def test_a_red_verdict_leaves_the_diagnosis_that_was_made_of_it():
    told = story()
    found = unproven().verification.model_copy(update={"diagnosis": "error F33 shanghai: none"})
    told.facts.add_result(found)
    assert "error F33 shanghai: none" in left(told)["diagnosis"].markdown


def test_services_of_the_users_own_are_a_table_of_their_own():
    from isthmus.verification import ServiceVerdict

    seen = {"service": "shop/cart", "client": "beijing", "port": 80, "protocol": "http"}
    judged = ServiceVerdict(**seen, requests=100, failed=0)
    told = story()
    told.facts.add_result(told.facts.verification.model_copy(update={"services": (judged,)}))
    [row] = left(told)["services"].rows
    assert (row["service"], row["client"], row["verdict"]) == ("shop/cart:80", "beijing", "pass")


def test_the_steps_say_in_words_what_made_the_run_long():
    page = left(story())["steps"].markdown
    assert "critical path: 17.0 s of 20.0 s: create cluster (beijing)" in page
    assert "5.8 s install host :crit, " in page
    assert "8.1 s create cluster :done, " in page
    assert "2.0 s FAILED install remote :crit, " in page


def test_progress_is_a_line_of_what_is_done_and_what_runs():
    running = [step(f"step {n}", "beijing", n, None, "running") for n in range(7)]
    assert progress_line(3, 10, running[:2]) == (
        "3 of 10 steps finished; running: step 0 (beijing), step 1 (beijing)"
    )
    assert progress_line(3, 10, running).endswith("step 4 (beijing) and 2 more")
    assert progress_line(10, 10, []) == "10 of 10 steps finished"


@pytest.mark.parametrize("kind", SECRETS)
def test_what_looks_like_a_secret_is_taken_out_and_the_words_around_it_stay(kind):
    shown = redact(f"shanghai: before {SECRETS[kind]}")
    assert "CANARY" not in shown
    assert shown.startswith("shanghai: before ")


@pytest.mark.parametrize(
    "plain",
    [
        "timed out after 30 s waiting for the token of ServiceAccount istio-system/istio-reader",
        "Secret istio-remote-secret-shanghai: HTTP 403 Forbidden",
        "sha256:" + "0123456789abcdef" * 4,
        "0123456789abcdef" * 8,
        "/srv/isthmus/environments/silk-road/regions/beijing/logs/apiserver/of/a/run/that/is/long",
        "https://198.18.0.2:6443: dial tcp: i/o timeout",
        "kubectl --context shanghai -n istio-system get secrets -l istio/multiCluster=true",
        "export KUBECONFIG=$(isthmus kubeconfig silk-road)",
        "the bearer of bad news, a basic authorization problem",
    ],
)
def test_what_is_no_secret_stays_as_it_is(plain):
    assert redact(plain) == plain


def test_secrets_that_come_by_mistake_are_in_nothing_that_a_run_leaves():
    for secret in SECRETS.values():
        found = known(PAIR)
        client = found.clients["beijing"]
        reason = Finding(kind=secret, about="beijing", text=f"{secret}. Type: {secret}")
        found.clients["beijing"] = client.model_copy(
            update={"observed_endpoints": [secret], "findings": (reason,)}
        )
        clients = list(found.clients.values())
        found.verification = Verification(environment="silk-road", clients=clients)
        found.servers["beijing"] = secret
        steps = [step(secret, secret, 0, 1, "failed", text=secret)]
        error = Rejected(secret, cluster=secret, step=secret, hint=secret)
        everything = build_artifacts(failed(error, found=found, steps=steps, name=secret))
        shown = whole(everything) + progress_line(1, 2, steps)
        assert not re.search("CANARY", shown), shown


HOSTILE = 'say "x" [y] {z} `w` <b onclick=1>#; | %%{init}%%\n```\n-->| end\n![i](j) &amp; *e* _f_'


def test_text_with_signs_of_markdown_or_html_is_shown_as_it_is():
    shown = text.prose(HOSTILE)
    assert "\n" not in shown
    unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown)
    assert unescaped == " ".join(HOSTILE.split())
    assert not re.search(r"(?<!\\)[<`*_\[#|]", shown)


def test_a_block_is_not_ended_by_what_stands_in_it():
    fence, *body, end = text.block("a\n````\nb").splitlines()
    assert fence == end == "`````"
    assert body == ["a", "````", "b"]


def test_a_message_of_several_reasons_is_a_list_whose_long_lines_wrap():
    parts = [
        Unprepared("no right to make <pods> in istio-system", cluster="south", hint="ask for it"),
        Unprepared("its load balancer gives no address; " * 9, cluster="north"),
    ]
    page = outcome(failed(combine_errors(parts, "the clusters are not ready:", "run it again")))
    told = page.split("### What to do")[0]
    assert "```" not in told, "a block of code does not wrap"
    assert "the clusters are not ready:\n\n- south: no right to make \\<pods\\> in" in told
    assert "istio-system\\\n  ask for it\n- north: its load balancer" in told


def test_what_a_program_printed_is_shown_line_by_line():
    said = "Error: no chart\n  - not a reason\n  at line 3"
    assert text.paragraph(f"helm:\n{said}") == text.block(f"helm:\n{said}")


def test_no_text_is_longer_than_a_person_reads():
    endless = "x y" * 3_000
    error = Rejected(endless, cluster="beijing", step="join", hint=endless)
    reasons = tuple(
        Finding(kind=f"k{n}", about="beijing", text=endless + str(n)) for n in range(99)
    )
    found = known(PAIR)
    found.add_result(found.verification.model_copy(update={"findings": reasons}))
    steps = [step(endless, "beijing", 0, 1, "failed", text=endless)] * 99
    for item in build_artifacts(failed(error, found=found, steps=steps, name=endless)):
        assert len(whole([item])) < 150_000


def test_of_very_many_steps_the_longest_are_drawn_in_order():
    steps = [step(f"step {n}", "beijing", n, n + 1 + n % 7) for n in range(500)]
    drawn = re.findall(r" step (\d+) :", left(story(steps=steps))["steps"].markdown, re.M)
    numbers = [int(number) for number in drawn]
    assert len(numbers) == 120
    assert numbers == sorted(numbers)
    assert {number % 7 for number in numbers} == {5, 6}


def test_a_step_that_never_ended_is_drawn_up_to_the_end_of_the_run():
    page = left(story(steps=[step("wire", "shanghai", 5, None, "running")]))["steps"].markdown
    assert f"15.0 s unfinished wire :active, {START * 1000 + 5000:.0f}, 15000ms" in page
