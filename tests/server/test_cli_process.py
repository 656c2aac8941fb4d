"""The command line as a process: exit codes, streams, signals, readers that leave."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

# A flow without Prefect and a provider without clusters; BODY is what the flow does.
DRIVER = """
import contextvars, os, sys, threading, types
from contextlib import nullcontext
from isthmus import errors, events, providers
from isthmus.cli import prefect_setup, main
from isthmus.events import Event
prefect_setup.server_context = lambda tag: nullcontext()
providers.get_provider = lambda environment: types.SimpleNamespace(check=lambda environment: None)
def hang():
    events.publish(Event("started", "a", "install host", "beijing"))
    os.write(int(os.environ["READY"]), b"x")
    threading.Event().wait()
def pool():
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor() as threads:
        threads.submit(contextvars.copy_context().run, hang).result()
def child():
    import subprocess
    started = subprocess.Popen(["sleep", "600"])
    os.write(int(os.environ["READY"]), b"%d\\n" % started.pid)
    started.wait()
    threading.Event().wait()
def build(environment, if_busy):
    BODY
fake = types.ModuleType("flows.build")
fake.build = build
sys.modules["flows.build"] = fake
main.main()
"""
FILE = "name: silk-road\nhost: {name: beijing}\nremotes: [{name: shanghai}]\n"
NOT_PASSED = ("PREFECT_", "ISTHMUS_", "PYTHONUNBUFFERED", "NO_COLOR", "CI")
PATIENCE = 30
"""Seconds after which a process that should have ended is a failure."""


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "env.yaml").write_text(FILE)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_PASSED)}
    return {**inherited, "ISTHMUS_HOME": str(tmp_path / "home"), "TERM": "xterm"}


def command(body, *arguments):
    return [sys.executable, "-c", DRIVER.replace("BODY", body), *arguments]


@pytest.fixture
def start(environment, tmp_path):
    """Return a function that starts a command line; it is running when its flow says so."""
    started = []

    def run(body, *arguments, **options):
        reading, writing = os.pipe()
        process = subprocess.Popen(
            command(body, *arguments),
            env={**environment, "READY": str(writing)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[writing],
            **options,
        )
        os.close(writing)
        started.append(process)
        with os.fdopen(reading) as ready:
            process.said = ready.read(1)
            if "child" in body:
                process.said += ready.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def isthmus(environment, tmp_path):
    """Return a function that runs a command line to its end."""

    def run(body, *arguments, **variables):
        return subprocess.run(
            command(body, *arguments),
            env={**environment, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run


def raising(error):
    return f"raise errors.{error}"


CODES = [
    (0, "pass", ["version"]),
    (0, "pass", ["--help"]),
    (0, "pass", ["up", "--help"]),
    (1, "raise ValueError('bug')", ["up", "env.yaml"]),
    (1, raising("Rejected('no')"), ["up", "env.yaml"]),
    (64, "pass", []),
    (64, "pass", ["upp"]),
    (64, "pass", ["up"]),
    (64, "pass", ["up", "env.yaml", "--now"]),
    (64, "pass", ["up", "env.yaml", "-o", "yaml"]),
    (64, "pass", ["render", "env.yaml"]),
    (64, "pass", ["status", "unknown"]),
    (65, "pass", ["validate", "absent.yaml"]),
    (65, "pass", ["validate", "/"]),
    (69, raising("ClusterUnreachable('no answer', cluster='beijing')"), ["up", "env.yaml"]),
    (69, raising("Unprepared('no room')"), ["up", "env.yaml"]),
    (75, raising("NotReady('no address')"), ["up", "env.yaml"]),
    (75, raising("Busy('another run')"), ["up", "env.yaml"]),
    (75, "threading.Event().wait()", ["up", "env.yaml", "--timeout", "1s"]),
    (79, raising("Findings('not one mesh')"), ["up", "env.yaml"]),
    (79, "pass", ["status", "env.yaml"]),
    (79, "pass", ["server", "status"]),
]


@pytest.mark.parametrize(("code", "body", "arguments"), CODES)
def test_every_way_to_end_has_its_exit_code(isthmus, code, body, arguments):
    done = isthmus(body, *arguments)
    assert done.returncode == code, done.stderr
    assert bool(done.stderr) == (code != 0)
    assert "Traceback" not in done.stderr
    assert code == 0 or done.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("body", ["hang()", "pool()"])
def test_a_signal_ends_a_run_that_waits_and_says_how_to_go_on(start, number, body, tmp_path):
    process = start(body, "up", "env.yaml")
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, ""), err
    assert f"interrupted by {number.name}; still running: install host (beijing)" in err
    assert "run again: isthmus up env.yaml" in err
    [record] = (tmp_path / "home").glob("environments/silk-road/runs/*.json")
    assert json.loads(record.read_text())["steps"][0]["outcome"] == "running"


def test_a_run_that_was_interrupted_leaves_no_program_behind(start):
    process = start("child()", "up", "env.yaml")
    child = int(process.said)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert not os.path.exists(f"/proc/{child}") or is_zombie(child)


def is_zombie(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"


def test_out_of_time_says_what_was_still_running(isthmus):
    body = 'os.environ["READY"] = "2"; hang()'
    done = isthmus(body, "up", "env.yaml", "--timeout", "1s")
    assert done.returncode == 75
    assert "timed out after 1 s; still running: install host (beijing)" in done.stderr
    assert "run again: isthmus up env.yaml" in done.stderr


def test_an_interrupt_does_not_wait_for_a_prefect_server_that_is_deaf(start, environment):
    environment["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    process = start("hang()", "up", "env.yaml")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_is_no_error(environment, tmp_path, stream):
    body = "events.publish(Event('done', 'a', 'x'))\n    raise errors.Findings('no')"
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if stream == "stdout" else "stdout"
    arguments = ["version"] if stream == "stdout" else ["up", "env.yaml"]
    done = subprocess.run(
        command(body, *arguments),
        env=environment,
        cwd=tmp_path,
        text=True,
        timeout=PATIENCE,
        **{stream: writing, other: subprocess.PIPE},
    )
    os.close(writing)
    assert done.returncode == (0 if stream == "stdout" else 79)
    assert not getattr(done, other)


def test_a_stream_that_cannot_show_a_letter_gets_something_else(isthmus):
    body = "raise errors.Rejected('Zürich ↻')"
    done = isthmus(body, "up", "env.yaml", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 1
    assert "rich" in done.stderr


def on_terminal(body, environment, tmp_path, *arguments):
    """Run on a terminal; return everything that appeared on it, and the exit code."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, command(body, *arguments), environment)
    shown = b""
    while chunk := read(fd):
        shown += chunk
    os.close(fd)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read(fd):
    try:
        return os.read(fd, 65536)
    except OSError:  # how Linux says that the other end has left
        return b""


STEP = (
    "events.publish(Event('started', 'a', 'install host', 'beijing'));"
    " events.publish(Event('done', 'a', 'install host', 'beijing', '4 objects'));"
    " raise errors.Rejected('no')"
)


@pytest.mark.parametrize(
    ("variables", "arguments", "colored"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": ""}, [], True),
        ({"TERM": "dumb"}, [], False),
        ({}, ["--color", "never"], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
    ],
)
def test_colours_are_shown_only_where_they_are_wanted(
    environment, tmp_path, variables, arguments, colored
):
    environment |= {"PYTHONUTF8": "1", **variables}
    shown, code = on_terminal(STEP, environment, tmp_path, "up", "env.yaml", *arguments)
    assert code == 1
    assert "install host" in shown and "4 objects" in shown
    assert ("\x1b[31m" in shown) == colored


def test_a_terminal_without_utf8_gets_ascii_marks(environment, tmp_path):
    environment |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown, _ = on_terminal(STEP, environment, tmp_path, "up", "env.yaml", "--color", "never")
    assert "+ install host" in shown
    assert shown.isascii()


def test_a_terminal_with_utf8_gets_ticks(environment, tmp_path):
    environment |= {"PYTHONUTF8": "1"}
    shown, _ = on_terminal(STEP, environment, tmp_path, "up", "env.yaml", "--color", "never")
    assert "✓ install host" in shown


def test_without_a_terminal_nothing_is_drawn_again(isthmus):
    done = isthmus(STEP, "up", "env.yaml")
    assert "\x1b" not in done.stderr and "\r" not in done.stderr
    assert " ok    install host  beijing  4 objects" in done.stderr


HEAVY = ("prefect", "kubernetes", "flows", "fastapi", "sqlalchemy")


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["validate", "env.yaml"]])
def test_quick_verbs_import_nothing_heavy(environment, tmp_path, arguments):
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print(sorted(set({HEAVY!r}) & set(sys.modules))))\n"
        "from isthmus.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_home_that_cannot_be_written_is_told_plainly(isthmus, tmp_path):
    (tmp_path / "file").touch()
    done = isthmus("pass", "up", "env.yaml", ISTHMUS_HOME=str(tmp_path / "file" / "home"))
    assert done.returncode == 69
    assert "ISTHMUS_HOME" in done.stderr and "Traceback" not in done.stderr
