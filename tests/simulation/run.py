"""Many years on all cores, with progress, taken up where it was interrupted: one line of results for each batch."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.simulation.counts import Counts
from tests.simulation.life import life_of
from tests.simulation.year import POLICIES, Year

ROOT = Path(__file__).parents[2]
BATCH = 10
LISTED = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*(file for one in list(sys.modules.values()) if (file := getattr(one, "__file__", None))), sep="\\n")
"""
"""Prints the files of all that a module imports."""
Tally = dict[str, Counts]


class Unforeseen(logging.Handler):
    """Counts the tracebacks that the product logs: each is a bug."""

    number = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.number += bool(record.exc_info)


def lived(seeds: Iterable[int], policies: Sequence[str]) -> Tally:
    """What these years gave under these policies."""
    log, unforeseen = logging.getLogger("lamplighter"), Unforeseen()
    before = log.level, log.propagate
    log.setLevel(logging.ERROR)  # a year has thousands of changes to tell of
    log.addHandler(unforeseen)
    log.propagate = False
    tally = {name: Counts() for name in policies}
    gc.disable()  # a year is small; collected between years, it costs half
    gc.freeze()  # and what was there before the years needs no looking through after each
    try:
        for seed in seeds:
            life = life_of(seed)  # nobody changes it
            for name in policies:
                unforeseen.number = 0
                counts = Year(life, POLICIES[name]).run()
                counts.unforeseen += unforeseen.number
                tally[name].add(counts)
            gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
        log.removeHandler(unforeseen)
        log.setLevel(before[0])
        log.propagate = before[1]
    return tally


def added(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    whole: Tally = {}
    for tally in tallies:
        for name, counts in tally.items():
            whole.setdefault(name, Counts()).add(counts)
    return whole


def run(years: int, policies: Sequence[str], results: Path | None, jobs: int) -> Iterator[tuple[int, Tally]]:
    """The batches as they are done, those of an earlier run of the same code first: their first year and tally."""
    code = code_hash()
    done = _earlier(results, code, policies, years) if results else {}
    yield from done.items()
    todo = [first for first in range(0, years, BATCH) if first not in done]
    work = [(first, min(BATCH, years - first), tuple(policies)) for first in todo]
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(work)) or 1) as pool:
        for first, number, tally in pool.imap_unordered(_batch, work):
            if results:
                _append(results, {"code": code, "first": first, "years": number, "counts": _json(tally)})
            yield first, tally


def code_hash() -> str:
    """Of what lives through a year, product and simulation: results of another state of it are not mixed with these."""
    asked = (sys.executable, "-B", "-c", LISTED, __name__.rpartition(".")[0] + ".year")
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256()
    for path in sorted(map(Path, told.splitlines())):
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in {"tray_app", "tests"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def progress(done: int, years: int, began: float, before: int) -> str:
    """How far it is, and how long it will take."""
    rate = (done - before) / max(time.monotonic() - began, 0.001)
    left = (years - done) / rate / 60 if rate else 0
    return f"{done} of {years} years, {rate:.1f} a second, {left:.0f} min left"


def _batch(work: tuple[int, int, tuple[str, ...]]) -> tuple[int, int, Tally]:
    first, number, policies = work
    return first, number, lived(range(first, first + number), policies)


def _earlier(results: Path, code: str, policies: Sequence[str], years: int) -> dict[int, Tally]:
    found: dict[int, Tally] = {}
    if results.exists():
        for line in results.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            fits = entry["code"] == code and set(policies) == set(entry["counts"])
            if fits and entry["years"] == min(BATCH, years - entry["first"]):
                found[entry["first"]] = {name: Counts.from_json(one) for name, one in entry["counts"].items()}
    return found


def _append(results: Path, entry: dict[str, object]) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _json(tally: Tally) -> dict[str, object]:
    return {name: counts.as_json() for name, counts in tally.items()}
