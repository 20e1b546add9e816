"""`make soak`: the demo many times beside two busy loops; none may accuse a door that is right."""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOOPS = 2
SECONDS = 20


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep `loops` processors busy within the block."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.demo.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first run's street")
    given = parser.parse_args()
    failed = 0
    with busy(LOOPS):
        for number in range(given.runs):
            seed = given.seed + number
            begun_s = time.monotonic()
            command = ["-m", "tests.demo", f"--seconds={SECONDS}", f"--seed={seed}"]
            ran = subprocess.run(
                [sys.executable, *command], capture_output=True, text=True, check=False
            )
            took_s = time.monotonic() - begun_s
            print(f"demo {number + 1} of {given.runs}: seed {seed}, exit code {ran.returncode}, "
                  f"{took_s:.0f} s", flush=True)  # fmt: skip
            if ran.returncode:
                failed += 1
                print(ran.stdout + ran.stderr, flush=True)
    if failed:
        parser.exit(1, f"{failed} of {given.runs} demos did not end with exit code 0\n")


if __name__ == "__main__":
    main()
