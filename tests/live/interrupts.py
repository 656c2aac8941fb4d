"""Ctrl-C, a closed terminal, SIGTERM and SIGKILL at every step, in it and at its end; `up` goes on.

By hand, on regions of its own, with each of both federations:

    PYTHONPATH=tests python tests/live/interrupts.py lab|kubeconfig kubefed|direct

One build is interrupted at every moment once: each run ends itself at the first moment that none
before it has tried, the next goes on from what is there. The same with `down`. What is there at the
end is compared with what a build has that nobody disturbed.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

from live.bare import environment_of, everything, regions
from live.conftest import Isthmus
from live.files import write

PAIR = ["porto", "recife"]
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AMID = 0.3
"""Seconds after a step's begin at which it is at work."""
DRIVER = f"""
import json, os, pathlib, sys, threading
from isthmus import events
from isthmus.cli.main import main
tried, number = json.loads(sys.argv.pop(1)), int(sys.argv.pop(1))
said = pathlib.Path(sys.argv.pop(1))
def end(moment):
    said.write_text(json.dumps(moment))
    os.kill(os.getpid(), number)
def hear(event):
    moment = [event.kind, event.name, event.cluster or "-"]
    if hear.sent or event.kind not in ("started", "done") or moment in tried:
        return
    hear.sent = True
    threading.Timer({AMID} if event.kind == "started" else 0, end, [moment]).start()
hear.sent = False
with events.subscribe(hear):
    main()
"""


class Interrupted(Isthmus):
    """A command line that ends itself."""

    def once(
        self, tried: list[list[str]], number: int, *args: object
    ) -> tuple[int, list[str], str]:
        """Run until a moment that was not tried; return the exit code, the moment, what it said."""
        said = self.home.parent / "moment"
        said.write_text("[]")
        driver = [sys.executable, "-c", DRIVER, json.dumps(tried), str(int(number)), str(said)]
        done = subprocess.run(
            [*driver, *map(str, args)],
            env=self.env, text=True, capture_output=True, start_new_session=True, timeout=900,
        )  # fmt: skip
        return done.returncode, json.loads(said.read_text()), done.stderr


def torment(isthmus: Interrupted, codes: Counter[str], verb: str, what: object) -> int:
    """Interrupt a verb at every moment; return how many runs ended otherwise than they should."""
    tried: list[list[str]] = []
    wrong = 0
    for number in cycle(SIGNALS):
        begun = time.monotonic()
        code, moment, err = isthmus.once(tried, number, verb, what)
        if not moment:
            print(f"{verb} without an interrupt: {code}", flush=True)
            return wrong + bool(code)
        tried.append(moment)
        kind, step, cluster = moment
        fits = code == -number if number == signal.SIGKILL else code in (130, 0)
        wrong += not fits
        codes[f"{verb} {number.name} {code}"] += 1
        where = "in" if kind == "started" else "after"
        print(
            f"{len(tried):3} {verb:4} {number.name:7} {where:5} {step} ({cluster}): {code}, "
            f"{time.monotonic() - begun:.0f} s{'' if fits else '  <-- ' + err[-1500:]}",
            flush=True,
        )


@contextmanager
def ground(isthmus: Isthmus, folder: Path, provider: str, federation: str):
    """Give an environment file, and how all objects of its clusters are named."""
    with ExitStack() as stack:
        if provider == "kubeconfig":
            bare = regions(isthmus, folder, "bare-torment", PAIR)
            clusters = stack.enter_context(bare)
            file = environment_of(folder / "torment.yaml", "torment", clusters, federation)
            yield file, lambda: alike(everything(clusters))
            return
        host, *remotes = [{"name": name} for name in PAIR]
        file = write(
            folder / "torment.yaml", name="torment", federation=federation, host=host,
            remotes=remotes,
        )  # fmt: skip
        made = isthmus.home / "environments/torment/regions"

        def there():
            paths = {name: made / name / "kubeconfig" for name in PAIR}
            return alike(everything({n: p for n, p in paths.items() if p.exists()}))

        yield file, there


def alike(found: dict[str, set[str]]) -> dict[str, list[str]]:
    """Take from each name what a server gave it at random: an IPAddress has no other name."""
    chance = re.compile(r"(?<=^IPAddress /).*|(?<=-)[a-z0-9]{5}$")
    return {c: sorted(chance.sub("*", name) for name in names) for c, names in found.items()}


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    rows = []
    for cluster in before.keys() | after.keys():
        a, b = Counter(before.get(cluster, [])), Counter(after.get(cluster, []))
        rows += [f"{cluster}: missing {n}" for n in (a - b)] + [
            f"{cluster}: more {n}" for n in b - a
        ]
    return rows


def main() -> int:
    """Build, undisturbed and disturbed, and compare."""
    provider, federation = sys.argv[1:]
    codes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="torment-") as place:
        folder = Path(place)
        isthmus = Interrupted(folder / "home")
        try:
            with ground(isthmus, folder, provider, federation) as (file, there):
                empty = there()
                isthmus.run("up", file)
                whole = there()
                isthmus.run("down", "torment")
                wrong = torment(isthmus, codes, "up", file)
                rows = [f"after up: {row}" for row in differences(whole, there())]
                verdict = isthmus.document("verify", "torment")["verdict"]
                wrong += torment(isthmus, codes, "down", "torment")
                rows += [f"after down: {row}" for row in differences(empty, there())]
        finally:
            isthmus.run("server", "stop", "--now")
    print(*rows, sep="\n")
    print(f"{provider}, {federation}: {dict(codes)}; {wrong} otherwise than they should; "
          f"verify {verdict}; {len(rows)} objects differ")  # fmt: skip
    return 1 if wrong or rows or verdict != "pass" else 0


if __name__ == "__main__":
    sys.exit(main())
