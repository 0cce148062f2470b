"""What doctor says can be pasted, and its remedies are those of this very system."""

from datetime import timedelta
from pathlib import Path

import pytest

from tray_app.base.translation import catalog, translated_with
from tray_app.core.message import msg
from tray_app.interfaces.doctor import advice
from tray_app.interfaces.doctor.examination import all_is_well, report_lines
from tray_app.interfaces.doctor.finding import cannot, masked, ok, skipped
from tray_app.interfaces.doctor.network import Offset, clock_finding

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'
UBUNTU = "ID=ubuntu\nID_LIKE=debian\n"
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'
TUMBLEWEED = 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n'
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'


@pytest.mark.parametrize(
    ("text", "family"),
    [
        (DEBIAN, "debian"),
        (UBUNTU, "debian"),
        (MINT, "debian"),
        (TUMBLEWEED, "suse"),
        (ROCKY, "fedora"),
        ("ID=arch", "arch"),
        ("ID=nixos", ""),
        ('ID="open\n=x\nnonsense', ""),
    ],
)
def test_a_distribution_is_known_by_its_family(text, family):
    assert advice.family_of(advice.parse_os_release(text)) == family


@pytest.fixture
def system(monkeypatch, tmp_path):
    def become(release: str, desktop: str) -> None:
        (tmp_path / "os-release").write_text(release)
        monkeypatch.setattr(advice, "_OS_RELEASE", (tmp_path / "os-release",))
        monkeypatch.setattr(advice.platform, "system", lambda: "Linux")
        monkeypatch.setenv("XDG_CURRENT_DESKTOP", desktop)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    return become


@pytest.mark.parametrize(
    ("release", "desktop", "remedies"),
    [
        (DEBIAN, "XFCE", ("Status Tray Plugin", "sudo apt install xfce4-notifyd", "sudo apt install gnome-keyring")),
        (UBUNTU, "ubuntu:GNOME", ("gnome-shell-extension-appindicator", "its own notifications", "gnome-keyring")),
        (ROCKY, "sway", ("sudo dnf install waybar", "sudo dnf install mako", "sudo dnf install gnome-keyring")),
        (DEBIAN, "sway", ("sudo apt install waybar", "sudo apt install mako-notifier", "gnome-keyring")),
        (TUMBLEWEED, "KDE", ("System Tray", "its own notifications", "KWallet")),
        ("ID=nixos", "", ("Install xfce4-panel", "Install dunst", "Install gnome-keyring")),
    ],
)
def test_the_remedy_is_that_of_this_desktop_and_distribution(system, release, desktop, remedies):
    system(release, desktop)

    for remedy, words in zip((advice.tray(), advice.notifications(), advice.keyring()), remedies, strict=True):
        assert words in remedy


def test_what_is_pasted_tells_no_home_no_password_and_no_query():
    text = f"{Path.home()}/.config: https://ada:canary@proxy.example:8080 and https://a.example/x?code=canary#canary"

    assert masked(text) == "~/.config: https://***@proxy.example:8080 and https://a.example/x?***"
    assert masked("tab\there, \x1b[31mred") == "tab here,  [31mred"


def test_the_page_tells_it_in_the_persons_language_masked_as_well_and_programs_get_english():
    path = f"{Path.home()}/.config"
    finding = cannot("folders", msg("{folder} cannot be written", folder=path), msg("Please tell us"))

    page = finding.as_json(lambda text: translated_with(text, catalog("de")))

    assert (page["name"], page["says"]) == ("Ordner", "~/.config ist nicht beschreibbar")
    assert page["remedy"] == "Bitte sagen Sie uns Bescheid"
    assert (finding.as_json()["name"], finding.as_json()["says"]) == ("folders", "~/.config cannot be written")


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (0, "ok", "as a.example"),
        (60, "ok", ""),
        (61, "cannot", "behind that of"),
        (-3600, "cannot", "ahead of that of"),
    ],
)
def test_a_clock_is_wrong_from_a_minute_on(seconds, verdict, words):
    finding = clock_finding([Offset("a.example", timedelta(seconds=seconds))])

    assert finding.verdict == verdict
    assert words in finding.says


def test_one_server_with_a_wrong_clock_does_not_make_ours_wrong():
    offsets = [Offset("wrong.example", timedelta(days=1)), Offset("right.example", timedelta(0))]

    assert clock_finding(offsets).verdict == "ok"
    assert clock_finding([]).verdict == "skipped"


def test_the_report_shows_each_verdict_with_its_remedy_and_counts_what_failed():
    findings = [
        ok("browser", "xdg-open"),
        cannot("keyring", "none", "install one"),
        skipped("DNS", "no", account="work"),
    ]
    text = "\n".join(line for _, line in report_lines(findings))

    assert "  ok      browser  xdg-open\n  cannot  keyring  none\n                   > install one\n\nwork\n" in text
    assert text.endswith("One thing failed; its remedy stands below it.")
    assert not all_is_well(findings)
    assert all_is_well([findings[0], findings[2]])
