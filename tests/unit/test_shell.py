"""One command: what it printed, or why not, in words for a person."""

import sys

import pytest

from isthmus.adapters import shell
from isthmus.errors import ClusterUnreachable, NotReady, Rejected, Unprepared


def python(code):
    return [sys.executable, "-c", code]


def test_a_command_gives_what_it_prints_and_takes_what_it_is_told():
    assert shell.run(python("print(input())"), stdin="a secret") == "a secret\n"


def test_a_failure_tells_the_command_its_code_and_its_last_words():
    code = "import sys; [print('line', i, file=sys.stderr) for i in range(99)]; sys.exit(3)"
    with pytest.raises(Rejected) as caught:
        shell.run(python(code), cluster="beijing", step="join")
    said = str(caught.value)
    assert said.startswith("beijing: join: `") and "exited with 3" in said
    assert "line 98" in said and "line 86" not in said


def test_a_failure_that_is_told_on_standard_output_is_told_too():
    with pytest.raises(Rejected, match="no such flag"):
        shell.run(python("print('no such flag'); raise SystemExit(1)"))


def test_what_was_told_on_standard_input_is_in_no_message():
    with pytest.raises(Rejected) as caught:
        shell.run(python("import sys; sys.stdin.read(); sys.exit(1)"), stdin="canary")
    assert "canary" not in str(caught.value)


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(Unprepared, match="no-such-program: cannot be run"):
        shell.run(["no-such-program"])


def test_a_command_without_end_is_ended():
    with pytest.raises(NotReady, match=r"timed out after 0\.1 s"):
        shell.run(python("import time; time.sleep(60)"), timeout=0.1)


def test_a_question_is_answered_by_the_exit_code():
    assert shell.succeeds(python("")) and not shell.succeeds(python("raise SystemExit(1)"))


@pytest.mark.parametrize(
    "said",
    [
        "dial tcp 198.18.1.2:6443: connect: connection refused",
        "Get https://c: EOF",
        "read: connection reset by peer",
        "net/http: TLS handshake timeout",
        "dial tcp: i/o timeout",
        "context deadline exceeded",
        "the server is currently unable to handle the request",
        "the server has received too many requests and has asked us to try again later",
        "Internal error occurred: etcdserver: leader changed",
        "http2: client connection lost",
        "net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon",
        "http: server closed idle connection",
        'an error on the server ("unknown") has prevented the request from succeeding',
    ],
)
def test_an_api_server_that_may_answer_later_is_not_taken_for_a_refusal(said):
    with pytest.raises(ClusterUnreachable, match="exited with 1") as caught:
        shell.run_on_cluster(python(f"raise SystemExit({said!r})"), cluster="beijing", step="join")
    assert (caught.value.cluster, caught.value.step) == ("beijing", "join")


@pytest.mark.parametrize(
    "said", ["secrets is forbidden", "no such flag", "x509: unknown authority"]
)
def test_what_time_cannot_mend_is_a_refusal(said):
    with pytest.raises(Rejected):
        shell.run_on_cluster(python(f"raise SystemExit({said!r})"))
