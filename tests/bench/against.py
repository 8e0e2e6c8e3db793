"""The simulation and the explorer beside another checkout, in one run: ratios of the time that both take.

    $ git worktree add ../before 9e7fa84
    $ python tests/bench/against.py ../before

Each measures in processes of its own, in turn, so that what else the machine does meets both; the best of the rounds
counts. CPU time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROUNDS = 3
SCENARIOS = ("one-device", "wakeup-storm", "oversubscribed", "migration", "hotplug", "cpu-offline")
EXPLORED = ("h-a", "two-blocked", "moving", "blocking")
MEASURE = """
import json, sys, time
try:
    from sim_backend.machine.machine import Machine
    from sim_backend.scenario.scenario import load
except ImportError:
    from sim_backend.machine import Machine
    from sim_backend.scenario import load
from sim_backend.explore import explore

found = {}
for name in %r:
    machine = Machine(load(name), seed=1)
    machine.run(5000)
    start = time.process_time()
    done = machine.run(60000)
    found[f"steps/s, {name}"] = done / (time.process_time() - start)
machine = Machine(load("one-device"), seed=1)
machine.run(2000)
start = time.process_time()
for _ in range(200):
    machine = machine.copy()
    machine.run(1)
    machine.digest()
found["copies with a step and a digest/s"] = 200 / (time.process_time() - start)
for name in %r:
    explore(load(name))
    start = time.process_time()
    states = explore(load(name)).result.states
    found[f"states/s, {name}"] = states / (time.process_time() - start)
print(json.dumps(found))
""" % (SCENARIOS, EXPLORED)  # noqa: UP031 - braces


def measured(root: Path) -> dict[str, float]:
    """What one process measures in a checkout."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{root}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="another checkout")
    options = parser.parse_args()
    here = Path(__file__).resolve().parents[2]
    best: dict[Path, dict[str, float]] = {options.before.resolve(): {}, here: {}}
    for _ in range(ROUNDS):
        for root, known in best.items():
            for what, rate in measured(root).items():
                known[what] = max(rate, known.get(what, 0))
    before, now = best.values()
    print(f"{'':36} {'before':>10} {'now':>10} {'time now / before':>18}")
    for what, rate in now.items():
        print(f"{what:36} {before[what]:10.0f} {rate:10.0f} {before[what] / rate:18.2f}")


if __name__ == "__main__":
    main()
