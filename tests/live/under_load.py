"""By hand: does `verify` stay true to a sound mesh while the machine is busy?

    python tests/live/under_load.py ENV [--runs 30] [--busy 30] [--minutes 60] [--same]

Prints how each run ended, and in how many seconds; ends with 1 if one of them made a finding (79).
The busy processes are another session's, as a batch job's are: a kernel that groups processes by
session (sched_autogroup_enabled) gives verify no smaller share than them. --same: they are of ours,
and verify has the thirtieth part of one share.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("isthmus")
FINDINGS = 79
BUSY = """
import os, sys
for _ in range(int(sys.argv[1]) - 1):
    if not os.fork():
        break
while True:
    pass
"""


def main() -> int:
    """Run verify again and again beside processes that only burn time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--busy", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--same", action="store_true", help="busy processes of verify's session")
    wanted = parser.parse_args()
    end = time.monotonic() + 60 * wanted.minutes
    burning = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(wanted.busy)],
        **({"process_group": 0} if wanted.same else {"start_new_session": True}),
    )
    codes: Counter[int] = Counter()
    try:
        for number in range(wanted.runs):
            if time.monotonic() > end:
                break
            codes[_verify(wanted.environment, number + 1)] += 1
    finally:
        os.killpg(burning.pid, signal.SIGKILL)
        burning.wait()
        print(f"{codes.total()} runs beside {wanted.busy} busy processes, by exit code: {codes}")
    return 1 if codes[FINDINGS] else 0


def _verify(environment: str, number: int) -> int:
    begun = time.monotonic()
    done = subprocess.run([PROGRAM, "verify", environment], capture_output=True, text=True)
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{number}: exit {done.returncode}, {time.monotonic() - begun:.0f} s, load {load}")
    if done.returncode:
        print(done.stderr[-1500:])
    sys.stdout.flush()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
