"""A tree from a mirror, over HTTP or HTTPS: what .treeinfo names, and every repository in it with all its packages.

Whatever has a sum is checked against it, before it gets its name. What ends half-way is kept, hidden, and the next
attempt goes on from there.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit

from bootforge.errors import UsageError
from bootforge.media.faults import MediaError
from bootforge.media.library import RECORD, Library, Progress, Tree, digest, silent, walk
from bootforge.media.repodata import Wanted, read_primary, read_repomd
from bootforge.media.take import finish
from bootforge.media.treeinfo import MOST, NAMES, Treeinfo, clean_path, parse_treeinfo

ATTEMPTS = 4
PAUSE = 1.0
"""Seconds before a file is asked for again; doubled each time."""
_TIMEOUT = 30.0
_AT_ONCE = 4
_CHUNK = 1 << 18
_UNSIZED = 8 << 30
"""Bytes of a file of which no size is known."""
_PART = ".bootforge-part"
_SIGNED = ("BOOTX64.EFI", "grubx64.efi", "BOOTAA64.EFI", "grubaa64.efi")
_BESIDE = (".discinfo", "media.repo", "extra_files.json", *(f"EFI/BOOT/{name}" for name in _SIGNED))
"""What a tree may have beside .treeinfo without naming it; shim and GRUB have signatures instead of sums."""
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)")


class _Missing(Exception):
    """The mirror does not have it."""


class _OnlyHttp(urllib.request.HTTPRedirectHandler):
    """A mirror may send us on, but to another mirror."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise MediaError(f"{req.full_url} leads to {ascii(newurl[:100])}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def add_url(library: Library, url: str, name: str | None, progress: Progress = silent) -> Tree:
    """Takes in the tree of a mirror, and returns what it was. Raises UsageError, MediaError, MediaBusy."""
    mirror = Mirror(url.rstrip("/"))
    content = mirror.treeinfo()
    info = parse_treeinfo(content)
    name = library.free_name(name or info.name)
    with library.place(mirror.url, keep=True) as place:
        (place / ".treeinfo").write_bytes(content)
        wanted = {one.path: one for one in mirror.listed(place, info)}
        checked = _fetch_all(mirror, place, wanted.values(), set(info.boots), progress)
        files = {}
        for path in list(walk(place)):
            if path in wanted or path == ".treeinfo":
                files[path] = ((place / path).stat().st_size, digest(place / path, "sha256"))
            else:  # of an earlier attempt, when the mirror had something else
                (place / path).unlink()
        tree = Tree(name, mirror.url, time.time(), "", "", "", checked)
        return finish(library, place, info, tree, files, {})


@dataclass(frozen=True, slots=True)
class Mirror:
    """The top of a tree on a mirror."""

    url: str

    def treeinfo(self) -> bytes:
        for name in NAMES:
            try:
                with self._answer(name) as answer:
                    content: bytes = answer.read(MOST + 1)
                    return content
            except _Missing:
                continue
            except (OSError, http.client.HTTPException) as error:
                raise MediaError(f"{self.url} cannot be read: {_why(error)}") from None
        raise UsageError(f"{self.url} has no .treeinfo", "name the top of an install tree: what holds .treeinfo")

    def listed(self, place: Path, info: Treeinfo) -> Iterator[Wanted]:
        """Every file of the tree; what lists others is fetched on the way. Raises MediaError."""
        sums = {clean_path(path): wanted for path, wanted in info.sums.items()}
        for path in dict.fromkeys([*map(clean_path, info.images), *sums, *_BESIDE]):
            if not path.endswith("repodata/repomd.xml"):
                yield Wanted(path, None, sums.get(path))
        for repo in info.repos:
            yield from self._repository(place, repo, sums)

    def _repository(self, place: Path, repo: str, sums: dict[str, tuple[str, str]]) -> Iterator[Wanted]:
        top = clean_path(repo)
        index = Wanted(_below(top, "repodata/repomd.xml"), None, sums.get(_below(top, "repodata/repomd.xml")))
        (place / index.path).unlink(missing_ok=True)  # it says what is there now
        try:
            self.fetch(place, index, silent)
        except _Missing:
            if top:
                raise MediaError(f"{self.url}/{top} has no repository, though .treeinfo says so") from None
            return
        yield index
        yield Wanted(f"{index.path}.asc")
        for kind, one in read_repomd((place / index.path).read_bytes()):
            one = replace(one, path=_below(top, one.path))
            yield one
            if kind == "primary":
                self.fetch(place, one, silent)
                yield from (replace(it, path=_below(top, it.path)) for it in read_primary(place / one.path))

    def fetch(self, place: Path, one: Wanted, progress: Progress) -> None:
        """One file, whole and right, under its name. Raises MediaError, _Missing, OSError of the disk."""
        at = place / one.path
        if one.sum and at.is_file() and _is_right(at, one):
            progress(at.stat().st_size, one.path)
            return
        at.parent.mkdir(parents=True, exist_ok=True)
        part = at.with_name(at.name + _PART)
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                self._receive(part, one, progress)
            except urllib.error.HTTPError as error:
                if error.code not in (*_TRANSIENT, 416):
                    raise MediaError(f"{self.url}/{one.path}: {error.code} {error.reason}") from None
                if error.code == 416:
                    part.unlink(missing_ok=True)
                why = f"{error.code} {error.reason}"
                continue
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
                why = _why(error)
                continue
            if _is_right(part, one):
                part.chmod(0o644)
                part.replace(at)
                return
            part.unlink()
            why = "it is not what the tree's own sums say"
        raise MediaError(f"{self.url}/{one.path}: {why}", "the next 'media add' goes on from here")

    def _receive(self, part: Path, one: Wanted, progress: Progress) -> None:
        """Adds to the part what is missing of it. Without a sum nothing would tell whether two parts fit."""
        have = part.stat().st_size if one.sum and part.is_file() else 0
        with self._answer(one.path, have) as answer:
            match = _RANGE.fullmatch(answer.headers.get("Content-Range") or "")
            if not (answer.status == 206 and match and int(match[1]) == have):
                have = 0
            most = one.size if one.size is not None else _UNSIZED
            with part.open("ab" if have else "wb", buffering=0) as file:
                while data := answer.read(_CHUNK):
                    have += len(data)
                    if have > most:
                        raise MediaError(f"{self.url}/{one.path} is longer than the tree says")
                    file.write(data)
                    progress(len(data), one.path)
            # http.client takes an early end for the end when it is asked for a part of the body.
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)

    @contextmanager
    def _answer(self, path: str, start: int = 0) -> Iterator[http.client.HTTPResponse]:
        request = urllib.request.Request(f"{self.url}/{quote(path)}", headers={"User-Agent": "bootforge"})
        if start:
            request.add_header("Range", f"bytes={start}-")
        opener = urllib.request.build_opener(_OnlyHttp)
        try:
            answer = opener.open(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise _Missing from None
            raise
        with answer:
            yield answer


def _fetch_all(mirror: Mirror, place: Path, all_: Iterable[Wanted], boots: set[str], progress: Progress) -> int:
    """How many files were checked against a sum. What is named but absent is left out, unless it boots something."""
    checked = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = {pool.submit(mirror.fetch, place, one, progress): one for one in all_}
        try:
            for done in as_completed(running):
                one = running[done]
                try:
                    done.result()
                    checked += one.sum is not None
                except _Missing:
                    if one.size is not None or one.path in boots:
                        raise MediaError(f"{mirror.url}/{one.path} is missing", "the mirror is not whole") from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return checked


def _below(top: str, path: str) -> str:
    path = clean_path(path)
    if path == RECORD or path.endswith(_PART):
        raise MediaError(f"the tree names the path {path}, which is ours")
    return f"{top}/{path}" if top else path


def _is_right(path: Path, one: Wanted) -> bool:
    if one.size is not None and path.stat().st_size != one.size:
        return False
    return one.sum is None or digest(path, one.sum[0]) == one.sum[1]


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
