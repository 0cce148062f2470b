"""What another user made or can change is not believed, not followed and not changed (ssh's StrictModes)."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import Lamplighter
from tray_app.base.paths import private_folder, refuse_others
from tray_app.base.runtime_folder import runtime_folder
from tray_app.core.errors import Misconfigured

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
AS_ROOT = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only as root is there another user")
STRANGER = 65534
ANOTHER_USER = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder as /tmp is one."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def by_another_user(shared: Path, *words: str) -> None:
    """They stand in the folder: what lies above it is not theirs to pass."""
    subprocess.run([*ANOTHER_USER, *words], cwd=shared, check=True)


@AS_ROOT
def test_another_users_link_is_not_followed_and_its_target_is_left_as_it_is(shared: Path, tmp_path: Path) -> None:
    target = tmp_path / "victim"
    target.mkdir(mode=0o755)
    by_another_user(shared, "ln", "-s", str(target), "lamplighter")

    with pytest.raises(Misconfigured, match="belongs to another user"):
        private_folder(shared / "lamplighter")
    with pytest.raises(Misconfigured, match="belongs to another user"):
        private_folder(shared / "lamplighter" / "run")
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert list(target.iterdir()) == []


def test_a_link_of_our_own_passes(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles"
    target.mkdir(mode=0o755)
    (tmp_path / "config").symlink_to("dotfiles")

    private_folder(tmp_path / "config")

    assert stat.S_IMODE(target.stat().st_mode) == 0o700


@AS_ROOT
def test_a_home_of_another_user_is_refused(keyless: Lamplighter) -> None:
    keyless.home.mkdir()
    os.chown(keyless.home, STRANGER, STRANGER)

    for words in (("status",), ("token", "work"), ("run", "--headless"), ("config", "check")):
        done = keyless.run(*words)
        assert (done.code, "belongs to another user" in done.err) == (5, True), (words, done)
        assert "Traceback" not in done.err


@AS_ROOT
def test_a_configuration_of_another_user_is_refused(keyless: Lamplighter) -> None:
    keyless.home.mkdir()
    (keyless.home / "config.toml").write_text("")
    os.chown(keyless.home / "config.toml", STRANGER, STRANGER)

    done = keyless.run("config", "check")

    assert (done.code, "config.toml belongs to another user" in done.err) == (5, True), done


@pytest.mark.parametrize("place", [".", "config.toml", "state", "log", "run"])
def test_what_others_may_write_is_refused_with_its_remedy(keyless: Lamplighter, place: str) -> None:
    keyless.home.mkdir()
    path = keyless.home / place
    if place == "config.toml":
        path.touch()
    else:
        path.mkdir(exist_ok=True)
    path.chmod(0o777)

    done = keyless.run("config", "check")

    assert (done.code, f"chmod go-w {path}" in done.err) == (5, True), done
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    assert "others may write" in " ".join(keyless.run("doctor").out.split())


def test_a_group_without_another_member_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    path.chmod(0o664)
    os.chown(path, -1, os.getgid() if os.getuid() else 54_321)

    refuse_others(path)


@AS_ROOT
def test_a_group_with_another_member_is_somebody(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    path.chmod(0o664)
    os.chown(path, 0, STRANGER)

    with pytest.raises(Misconfigured, match="others may write"):
        refuse_others(path)


def test_without_xdg_runtime_dir_nothing_lies_below_tmp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 987_654)

    assert runtime_folder() == f"{tmp_path}/lamplighter/run"


@AS_ROOT
def test_the_usual_runtime_folder_is_found_without_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    usual = Path("/run/user/987654")
    usual.mkdir(parents=True, mode=0o700)
    try:
        of_root = runtime_folder()
        os.chown(usual, 987_654, 987_654)
        ours = runtime_folder()
        usual.chmod(0o755)
        open_to_others = runtime_folder()
    finally:
        usual.rmdir()

    assert ours == "/run/user/987654/lamplighter"
    assert of_root == open_to_others != ours


def test_a_folder_that_we_may_not_make_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refused)

    with pytest.raises(Misconfigured, match=r"cannot be used \(Permission denied\)"):
        private_folder(tmp_path / "lamplighter")


@pytest.mark.parametrize(("members", "is_shared"), [([], False), (["root"], False), (["somebody_of_ldap"], True)])
def test_a_member_that_only_a_directory_service_knows_counts(
    monkeypatch: pytest.MonkeyPatch, members: list[str], *, is_shared: bool
) -> None:
    import grp

    from tray_app.base import ownership

    group = grp.struct_group(("team", "x", 54321, members))
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)

    assert ownership._has_another_member(54321) is is_shared
