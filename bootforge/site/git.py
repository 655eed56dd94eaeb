"""A site in git: which commit it is, and the site of any commit."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bootforge.errors import NotFound, UsageError

_ENVIRONMENT = ("PATH", "HOME", "XDG_CONFIG_HOME", "LANG", "LC_ALL", "TMPDIR")
_SHORT = 12


def clean_commit(root: Path) -> str:
    """The commit of a clean checkout that holds the site, else ''."""
    try:
        status = _git(root, "status", "--porcelain", "--", ".")
        if status.returncode or status.stdout.strip():
            return ""
        head = _git(root, "rev-parse", "HEAD")
        return head.stdout.decode().strip()[:_SHORT] if head.returncode == 0 else ""
    except (OSError, subprocess.SubprocessError):
        return ""


def commit_of(root: Path, rev: str) -> str:
    """The commit that a branch, tag or other revision (gitrevisions(7)) is now. Raises UsageError when there is no git
    or no repository, NotFound."""
    if rev.startswith("-"):
        raise UsageError(f"{rev!r} is not a revision", "name a commit, branch or tag")
    try:
        found = _git(root, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
        inside = found if found.returncode == 0 else _git(root, "rev-parse", "--git-dir")
    except OSError as error:
        raise UsageError(f"git cannot be run: {error.strerror}", "revisions are read with it") from None
    except subprocess.SubprocessError as error:
        raise UsageError(f"git does not answer: {error}", "look at the repository") from None
    if inside.returncode:
        said = inside.stderr.decode("utf-8", "replace").strip().splitlines()
        owned = next((line for line in said if "dubious ownership" in line), "")
        hint = (
            f"{owned}: see safe.directory in git-config(1)" if owned else "revisions need one: 'git init', and commit"
        )
        raise UsageError(f"{root} is not in a git repository", hint)
    if found.returncode:
        raise NotFound(f"no revision {rev!r} in {root}", "'git branch --all' lists branches")
    return found.stdout.decode().strip()[:_SHORT]


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """The site of a commit in a directory that is gone afterwards; nothing is written to the repository, which may be
    a bare one. Raises NotFound when the commit has no such directory."""
    archive = _git(root, "archive", "--format=tar", commit, "--", ".", seconds=120)
    if archive.returncode:
        raise NotFound(f"no site at revision {commit!r}", " ".join(archive.stderr.decode("utf-8", "replace").split()))
    with TemporaryDirectory(prefix="bootforge-site-") as directory:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            # Python before 3.11.4 (Debian 12) knows no filter; git's trees hold nothing that it would refuse.
            safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(directory, **safe)
        yield Path(directory)


def _git(root: Path, *args: str, seconds: int = 30) -> subprocess.CompletedProcess[bytes]:
    """git(1) in a directory. Of the environment it gets what it reads itself: secrets may be in the rest."""
    known = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith("GIT_")}
    return subprocess.run(["git", "-C", str(root), *args], capture_output=True, timeout=seconds, env=known)
