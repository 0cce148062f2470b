"""`python -m tests.simulation`: laptop-years, a table and a picture.

python -m tests.simulation                      # 10,000 years on all cores; interrupted, it goes on where it was
python -m tests.simulation --years 50
python -m tests.simulation --replay 4711        # the story of one year
python -m tests.simulation --fleet              # 100,000 lamps after a power cut
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.simulation import picture
from tests.simulation.fleet import fleet, told
from tests.simulation.replay import replay
from tests.simulation.run import ROOT, added, progress, run
from tests.simulation.table import held, table
from tests.simulation.year import POLICIES

RESULTS = ROOT / ".simulation" / "results.jsonl"


def main() -> None:
    arguments = _arguments()
    if arguments.replay is not None:
        replay(arguments.replay, arguments.policies[0])
    elif arguments.fleet:
        _fleet(arguments)
    else:
        _years(arguments)


def _years(arguments: argparse.Namespace) -> None:
    began, done, before, batches = time.monotonic(), 0, None, []
    for _, tally in run(arguments.years, arguments.policies, arguments.results, arguments.jobs):
        batches.append(tally)
        done += next(iter(tally.values())).years
        before = done if before is None else before
        sys.stderr.write(f"\r{progress(done, arguments.years, began, before)}   ")
    sys.stderr.write("\n")
    whole = added(batches)
    print(f"{table(whole)}\n\n{held(whole)}")
    _keep(arguments.picture or ROOT / "assets" / "laptop-years.svg", picture.years(whole))


def _fleet(arguments: argparse.Namespace) -> None:
    fleets = [fleet(gentle=gentle) for gentle in (True, False)]
    print("\n".join(told(one) for one in fleets))
    _keep(arguments.picture or ROOT / "assets" / "fleet.svg", picture.lines(fleets))


def _keep(path: Path, svg: str) -> None:
    path.write_text(svg, encoding="utf-8")
    print(f"\n{path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Laptop-years.")
    parser.add_argument("--years", type=int, default=10_000)
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES))
    parser.add_argument("--results", type=Path, default=RESULTS, help="one line for each batch of years")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--picture", type=Path, help="where the picture goes instead of assets/")
    parser.add_argument("--fleet", action="store_true", help="lamps that a power cut restarts together")
    parser.add_argument("--replay", type=int, metavar="SEED", help="tell the story of this year")
    return parser.parse_args()


if __name__ == "__main__":
    main()
