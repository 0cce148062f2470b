"""Whether another user could have made or changed what lies at a path (the rules of ssh's StrictModes). POSIX alone."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from tray_app.core.errors import Misconfigured
from tray_app.core.message import msg

_MOST_LINKS = 40

if sys.platform != "win32":

    def checked(path: Path) -> Path:
        """The path without links. What is missing at its end is left as it is.

        Raises `Misconfigured` where a link, or a folder on the way, is another user's: they could lead it elsewhere.
        This user's, root's and sticky folders pass, where nobody replaces what others have made; in a user namespace
        also what belongs to nobody there. Raises OSError where it cannot be looked at, and on a circle of links.
        """
        done, left, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
        trusted = {0, os.getuid(), *_unmapped()}
        while left:
            part = left.pop()
            if part == "..":
                done = done.parent
                continue
            one = done / part
            try:
                found = one.lstat()
            except FileNotFoundError:
                return one.joinpath(*reversed(left))
            is_link = stat.S_ISLNK(found.st_mode)
            if (is_link or left) and found.st_uid not in trusted and not _is_sticky(found):
                raise _of_another(one)
            if not is_link:
                done = one
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            target = one.readlink()
            if target.is_absolute():
                done = Path("/")
            left.extend(reversed([part for part in target.parts if part != "/"]))
        return done

    def refuse_owner_or_mode(found: os.stat_result, path: Path, *, trusted: set[int]) -> None:
        """Raises `Misconfigured` where it is none of the `trusted` users', or others may write it."""
        if found.st_uid not in trusted:
            raise _of_another(path)
        by_group = found.st_mode & stat.S_IWGRP and _has_another_member(found.st_gid)
        if by_group or found.st_mode & stat.S_IWOTH:
            raise Misconfigured(
                msg("others may write {path}", path=path),
                msg("Close it to them: {command}", command=f"chmod go-w {path}"),
            )

    def _of_another(path: Path) -> Misconfigured:
        return Misconfigured(
            msg("{path} belongs to another user", path=path),
            msg("Move it away, make it yours, or set LAMPLIGHTER_HOME"),
        )

    def _is_sticky(found: os.stat_result) -> bool:
        return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX)

    def _has_another_member(group: int) -> bool:
        """Whether anybody but this user and root is in the group: many systems give each user a group of their own."""
        import grp
        import pwd

        ours = {0, os.getuid()}
        if any(user.pw_gid == group and user.pw_uid not in ours for user in pwd.getpwall()):
            return True
        try:
            names = grp.getgrgid(group).gr_mem
        except KeyError:
            return False
        own_names = {user.pw_name for user in pwd.getpwall() if user.pw_uid in ours}
        with suppress(KeyError):
            own_names.add(pwd.getpwuid(os.getuid()).pw_name)
        return not own_names.issuperset(names)  # a directory service (LDAP) names members that getpwall does not list

    def _unmapped() -> set[int]:
        """The user that all users outside of this user namespace appear as; none where this is the first one."""
        try:
            is_first = Path("/proc/self/uid_map").read_text("ascii").split() == ["0", "0", "4294967295"]
            return set() if is_first else {int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))}
        except (OSError, ValueError):
            return set()
