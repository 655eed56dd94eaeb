"""The server's own directory: where the store lies, and the key from which the tokens of grants are derived.

A token is HMAC-SHA256(key, grant id), 128 bits of it: as good as random to everybody without the key, and the
same whenever the server needs it again, so that an armed machine that boots twice keeps one URL and the store
holds nothing but hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from bootforge.errors import UsageError

_KEY_BYTES = 32
_LOOK = 60
LOOK_HEADER = "X-Bootforge-Look"


@dataclass(frozen=True, slots=True)
class ServerKey:
    """The secret key of one server (or of several that share a store)."""

    secret: bytes = field(repr=False)

    def token(self, grant_id: str) -> str:
        """A grant's token: 32 hex digits."""
        return hmac.new(self.secret, grant_id.encode(), hashlib.sha256).hexdigest()[:32]

    def look(self, mac: str, at: float) -> str:
        """What lets its bearer, for a minute from ``at`` (seconds since the epoch), be told what the machine would be
        told, without being it: nothing is recorded or used up. Whoever has the key could make the token as well."""
        said = f"{at:.0f}"
        return f"{said}-{hmac.new(self.secret, f'look {said} {mac}'.encode(), hashlib.sha256).hexdigest()}"

    def is_look(self, mac: str, given: str, now: float) -> bool:
        """Whether :meth:`look` made that for this machine, and a minute ago at most."""
        said = given.partition("-")[0]
        if not (said.isascii() and said.isdecimal() and len(said) < 12) or abs(now - int(said)) > _LOOK:
            return False
        return hmac.compare_digest(self.look(mac, int(said)).encode(), given.encode("utf-8", "replace"))


def default_store() -> str:
    """The store's URL without ``--store``: below /var/lib for root, below XDG_STATE_HOME for everybody else."""
    if os.geteuid() == 0:
        return "sqlite:////var/lib/bootforge/store.db"
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return f"sqlite:///{home}/bootforge/store.db"


def state_dir(store_url: str) -> Path:
    """The directory of the store's database, made if it is not there. Raises UsageError when it cannot be."""
    scheme, _, path = store_url.partition(":///")
    if scheme != "sqlite" or not path:
        # The URL is not shown: it may have a password.
        raise UsageError("--store is not a URL of SQLite", "write sqlite:////absolute/path/store.db")
    directory = Path(path).absolute().parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = "give a --store that this user may write, or run as the server's user"
        raise UsageError(f"{directory} cannot be made: {error.strerror}", hint) from None
    return directory


def default_media(store_url: str) -> Path:
    """The media directory without ``--media``: beside the store."""
    return state_dir(store_url) / "media"


def added_loaders(store_url: str) -> Path:
    """The directory of boot programs that operators added: beside the store."""
    return state_dir(store_url) / "loaders"


def server_key(store_url: str) -> ServerKey:
    """The key beside the store, made at the first use. Raises UsageError when it is unreadable, or others may
    read it."""
    path = state_dir(store_url) / "key"
    try:
        _make_key(path)
        if path.stat().st_mode & 0o077:
            raise UsageError(f"{path} can be read by others", f"'chmod 600 {path}', then 'bootforge disarm' all hosts")
        secret = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "run as the server's user, or give another --store") from None
    if len(secret) != _KEY_BYTES:
        raise UsageError(f"{path} is not a key", "remove it: a new one is made, and hosts must be armed again")
    return ServerKey(secret)


def _make_key(path: Path) -> None:
    """Made whole under another name first: two processes that start together end with one key."""
    if path.exists():
        return
    new = path.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_KEY_BYTES))
        os.fsync(descriptor)
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        os.close(descriptor)
        new.unlink()
