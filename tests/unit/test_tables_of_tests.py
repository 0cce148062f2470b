"""The tables of attacks and of ways to be signed out name tests that exist."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "integration"
ROW = re.compile(r"^\| (?P<subject>[^|]+) \| (?P<about>[^|]*?) ?\| `(?P<file>[^`:]+)::(?P<test>\w+)` \|$")


def rows_of(table: str) -> list[tuple[str, str]]:
    """Subject and second column of each row, whose test is there."""
    lines = [line for line in (FOLDER / table).read_text("utf-8").splitlines() if line.startswith("|")][2:]
    found = []
    for line in lines:
        row = ROW.match(line)
        assert row, line
        code = (FOLDER / row["file"]).read_text("utf-8")
        assert re.search(rf"^(async )?def {row['test']}\(", code, re.MULTILINE), line
        found.append((row["subject"], row["about"]))
    return found


def test_every_attack_names_a_section_and_a_test_that_is_there() -> None:
    rows = rows_of("attacks.md")

    assert len(rows) > 40
    for attack, section in rows:
        assert re.search(r"RFC \d{4}, |OpenID Connect Core, |CVE-\d{4}-", section), attack


def test_every_dialect_names_a_test_that_is_there() -> None:
    lines = [line for line in (FOLDER / "dialects.md").read_text("utf-8").splitlines() if line.startswith("| ")][1:]

    assert len(lines) > 25
    for line in lines:
        file, _, test = line.rstrip(" |").rpartition("`")[0].rpartition("`")[2].partition("::")
        assert re.search(rf"^(async )?def {test}\(", (FOLDER / file).read_text("utf-8"), re.MULTILINE), line


def test_each_of_the_thirteen_ways_has_a_test_in_which_another_refresher_fails() -> None:
    rows = rows_of("thirteen_ways.md")
    failed_by_others = {int(way.split(".")[0]) for way, others in rows if others}

    assert failed_by_others == set(range(1, 14))
    assert [int(way.split(".")[0]) for way, _ in rows] == sorted(int(way.split(".")[0]) for way, _ in rows)
