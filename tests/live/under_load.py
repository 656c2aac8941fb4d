"""By hand: does `verify` stay true to a sound mesh while the machine is busy?

    python tests/live/under_load.py ENV [--runs 30] [--busy 30] [--minutes 60]

Prints how each run ended, and in how many seconds; ends with 1 if one of them made a finding (79).
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("isthmus")
FINDINGS = 79


def main() -> int:
    """Run verify again and again beside processes that only burn time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--busy", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=60.0)
    wanted = parser.parse_args()
    end = time.monotonic() + 60 * wanted.minutes
    burning = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(wanted.busy)
    ]
    codes: Counter[int] = Counter()
    try:
        for number in range(wanted.runs):
            if time.monotonic() > end:
                break
            codes[_verify(wanted.environment, number + 1)] += 1
    finally:
        for process in burning:
            process.kill()
        for process in burning:
            process.wait()
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
