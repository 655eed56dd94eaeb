"""Trees that are taken in: from directories, images and mirrors; from hostile ones; and what is left when it fails."""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bootforge.errors import BootforgeError, Exit, UsageError
from bootforge.media import fetch, take
from bootforge.media.fetch import add_url
from bootforge.media.library import RECORD, Library
from bootforge.media.repodata import read_primary, read_repomd
from bootforge.media.take import add_local
from bootforge.media.treeinfo import parse_treeinfo
from tests.support import need, verb, write_site

KERNEL, INITRD = b"kernel" * 1000, os.urandom(3_000_000)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tree(root: Path, more: str = "") -> Path:
    """An install tree with one repository of two packages."""
    packages = {"Packages/a-1-1.noarch.rpm": b"a" * 5000, "Packages/b-1-1.noarch.rpm": b"b" * 70_000}
    primary = "".join(
        f'<package type="rpm"><checksum type="sha256" pkgid="YES">{sha256(content)}</checksum>'
        f'<size package="{len(content)}" installed="1"/><location href="{path}"/></package>'
        for path, content in packages.items()
    )
    text = f'<metadata xmlns="http://linux.duke.edu/metadata/common">{primary}</metadata>'.encode()
    repomd = (
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        f'<checksum type="sha256">{sha256(text)}</checksum><location href="repodata/primary.xml"/>'
        f"<size>{len(text)}</size></data></repomd>"
    ).encode()
    info = f"""\
[general]
family = Test Linux
version = 9.4
arch = x86_64
[checksums]
images/pxeboot/vmlinuz = sha256:{sha256(KERNEL)}
images/pxeboot/initrd.img = sha1:{hashlib.sha1(INITRD).hexdigest()}
images/boot.iso = sha256:{sha256(b"none")}
repodata/repomd.xml = sha256:{sha256(repomd)}
[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
boot.iso = images/boot.iso
[variant-BaseOS]
repository = .
[variant-AppStream]
repository = ../../../AppStream/x86_64/os/
{more}"""
    files = {
        ".treeinfo": info.encode(),
        "images/pxeboot/vmlinuz": KERNEL,
        "images/pxeboot/initrd.img": INITRD,
        "repodata/repomd.xml": repomd,
        "repodata/primary.xml": text,
        **packages,
    }
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "media")


def left(library: Library) -> list[str]:
    return sorted(one.name for one in library.root.iterdir()) if library.root.exists() else []


def same_files(one: Path, other: Path) -> bool:
    trees = [
        {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (one, other)
    ]
    trees[1].pop(RECORD)
    return trees[0] == trees[1]


# Directories and images


def test_a_directory(tmp_path: Path, library: Library) -> None:
    source = tree(tmp_path / "tree")
    (source / "latest").symlink_to("images/pxeboot")
    source.chmod(0o700)
    (source / ".treeinfo").chmod(0o400)
    taken = add_local(library, source, None)
    assert (taken.name, taken.version, taken.arch) == ("test-linux-9.4-x86_64", "9.4", "x86_64")
    assert (taken.checked, taken.missing) == (3, ("images/boot.iso",))
    place = library.root / taken.name
    assert same_files(source, place) and os.readlink(place / "latest") == "images/pxeboot"
    assert oct(place.stat().st_mode & 0o777) == "0o755" and oct((place / ".treeinfo").stat().st_mode & 0o777) == "0o644"
    assert library.record(taken.name) == taken
    assert library.verify(taken.name) == [] and left(library) == [taken.name]
    with pytest.raises(UsageError, match="already"):
        add_local(library, source, None)


@pytest.mark.parametrize("how", ["xorriso", "bsdtar"])
def test_an_iso_image(tmp_path: Path, library: Library, how: str) -> None:
    need("bsdtar", how)
    source = tree(tmp_path / "tree")
    (source / "isolinux").mkdir()
    os.link(source / "images/pxeboot/initrd.img", source / "isolinux/initrd.img")
    image = tmp_path / "it's an image.iso"
    if how == "xorriso":
        make = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "--hardlinks", "-o", str(image), str(source)]
    else:
        make = ["bsdtar", "-cf", str(image), "--format=iso9660", "-C", str(source), "."]
    subprocess.run(make, check=True, capture_output=True)
    taken = add_local(library, image, "mine")
    assert same_files(source, library.root / "mine") and taken.checked == 3
    assert library.verify("mine") == []


def test_an_image_that_is_cut_off_leaves_nothing(tmp_path: Path, library: Library) -> None:
    need("bsdtar", "xorriso")
    image = tmp_path / "image.iso"
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", str(image), str(tree(tmp_path / "tree"))]
    subprocess.run(make, check=True, capture_output=True)
    os.truncate(image, image.stat().st_size // 2)
    with pytest.raises(BootforgeError):
        add_local(library, image, None)
    assert left(library) == []
    image.write_bytes(b"no image" * 10_000)
    with pytest.raises(UsageError, match="no .treeinfo"):
        add_local(library, image, None)


def test_a_damaged_file_is_refused(tmp_path: Path, library: Library) -> None:
    for path, algorithm in (("vmlinuz", "sha256"), ("initrd.img", "sha1")):
        source = tree(tmp_path / path)
        with (source / "images/pxeboot" / path).open("r+b") as file:
            file.write(b"X")
        with pytest.raises(BootforgeError, match=f"{path} does not have the {algorithm}") as caught:
            add_local(library, source, None)
        assert caught.value.exit == Exit.REMOTE and left(library) == []


def test_a_tree_that_does_not_boot_is_refused(tmp_path: Path, library: Library) -> None:
    source = tree(tmp_path / "tree")
    (source / "images/pxeboot/initrd.img").unlink()
    with pytest.raises(BootforgeError, match="initrd.img, which is not there"):
        add_local(library, source, None)
    (source / ".treeinfo").unlink()
    with pytest.raises(UsageError, match="no .treeinfo"):
        add_local(library, source, None)
    assert left(library) == []


@pytest.mark.parametrize("leads", ["/etc", "..", "../../x", "images/../../x"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, library: Library, leads: str) -> None:
    source = tree(tmp_path / "tree")
    (source / "bad").symlink_to(leads)
    with pytest.raises(BootforgeError, match="leads out of the tree"):
        add_local(library, source, None)
    assert left(library) == []


def test_a_pipe_is_refused(tmp_path: Path, library: Library) -> None:
    source = tree(tmp_path / "tree")
    os.mkfifo(source / "pipe")
    with pytest.raises(BootforgeError, match="neither a file nor a link"):
        add_local(library, source, None)
    assert left(library) == []


@pytest.mark.parametrize(
    "name,kind,leads",
    [
        ("../escaped", tarfile.REGTYPE, ""),
        ("/tmp/escaped", tarfile.REGTYPE, ""),
        ("a/../../escaped", tarfile.REGTYPE, ""),
        ("new\nline", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc"),
        ("link", tarfile.LNKTYPE, "/etc/passwd"),
        ("link", tarfile.LNKTYPE, "nothing"),
        ("device", tarfile.CHRTYPE, ""),
        ("twice", tarfile.REGTYPE, "twice"),
    ],
)
def test_a_hostile_image_writes_nothing_outside(
    tmp_path: Path, library: Library, name: str, kind: bytes, leads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As bsdtar would hand it on: no program that makes images makes such ones."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for _ in range(2 if leads == "twice" else 1):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, leads
            tar.addfile(member, io.BytesIO())
    stream.seek(0)
    with library.place("x", keep=False) as place:
        written = take.Written(place)
        with pytest.raises(BootforgeError):
            for entry in take._tar_entries(stream):
                written.add(entry, lambda count, path: None)
    assert not (tmp_path / "escaped").exists() and not Path("/tmp/escaped").exists()


def test_nothing_is_written_through_a_link(tmp_path: Path, library: Library) -> None:
    """Links that are harmless one by one, and lead out together."""
    with library.place("x", keep=False) as place:
        written = take.Written(place)
        for entry in (
            take.Entry("a/b/c", io.BytesIO(b"1")),
            take.Entry("here", link="a/b"),
            take.Entry("here/../../up", io.BytesIO(b"2")),
        ):
            if ".." in entry.path:
                with pytest.raises(BootforgeError):
                    written.add(entry, lambda count, path: None)
            else:
                written.add(entry, lambda count, path: None)
        assert not (place / "here").exists()
        written.add(take.Entry("here2/x", io.BytesIO(b"3")), lambda count, path: None)
        written.finish()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can mount")
    need("mount", "umount")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        library = Library(small / "media")
        source = tree(tmp_path / "tree")
        with pytest.raises(BootforgeError, match="MiB are needed"):
            add_local(library, source, None)
        assert left(library) == []
        with served(source) as mirror:
            with pytest.raises(BootforgeError, match="the disk is full") as caught:
                add_url(library, mirror.url, None)
            assert "free some space" in caught.value.hint and left(library) == []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(take, "_check_space", lambda place, needed: None)
            with pytest.raises(BootforgeError, match="the disk is full"):
                add_local(library, source, None)
        assert left(library) == []
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_two_at_a_time(tmp_path: Path, library: Library) -> None:
    source = tree(tmp_path / "tree")
    with library.place(str(source), keep=False), pytest.raises(BootforgeError, match="another process") as caught:
        add_local(library, source, None)
    assert caught.value.exit == Exit.LOCKED


# Verify and remove


def test_verify_tells_what_differs(tmp_path: Path, library: Library) -> None:
    add_local(library, tree(tmp_path / "tree"), "mine")
    place = library.root / "mine"
    (place / "images/pxeboot/vmlinuz").write_bytes(KERNEL[:-1] + b"X")
    (place / "Packages/a-1-1.noarch.rpm").unlink()
    (place / "new").write_text("x")
    (place / "repodata/repomd.xml").unlink()
    (place / "repodata/repomd.xml").symlink_to("/etc/passwd")
    assert library.verify("mine") == [
        "Packages/a-1-1.noarch.rpm: is missing",
        "images/pxeboot/vmlinuz: differs",
        "new: was not there",
        "repodata/repomd.xml: differs",
    ]
    (place / RECORD).write_text("{}")
    with pytest.raises(BootforgeError, match="cannot be read"):
        library.verify("mine")
    (place / RECORD).unlink()
    with pytest.raises(BootforgeError, match="no record"):
        library.verify("mine")


def test_the_verbs(tmp_path: Path) -> None:
    source, media = tree(tmp_path / "tree"), tmp_path / "media"
    env = {"BOOTFORGE_MEDIA": str(media)}
    added = verb("media", "add", source, "--name", "mine", **env)
    assert (added.status, added.out) == (0, "mine\n")
    assert "url: media:mine" in added.err and "images/boot.iso" in added.err
    assert "../../../AppStream/x86_64/os is not part of the tree" in added.err
    (row,) = verb("media", "list", "--json", **env).json
    assert (row["name"], row["version"], row["files"], row["checked"]) == ("mine", "9.4", 7, 3)
    assert "Test Linux" in verb("media", "list", **env).out
    assert verb("media", "verify", **env).status == 0
    (media / "mine/images/pxeboot/vmlinuz").write_bytes(b"x")
    verified = verb("media", "verify", "mine", **env)
    assert (verified.status, verified.out) == (1, "mine/images/pxeboot/vmlinuz: differs\n")
    assert verb("media", "verify", "mien", **env).status == 3
    assert verb("media", "add", source, "--name", "../x", **env).status == 2
    assert verb("media", "add", tmp_path / "nothing", **env).status == 2
    assert "--site" in verb("media", "remove", "mine", "--site", str(tmp_path), **env).err
    assert verb("media", "remove", "mine", "--site", str(tmp_path), "--force", **env).out == "mine\n"
    assert list(media.iterdir()) == [] and verb("media", "remove", "mine", "--force", **env).status == 3


SITE = {
    "site.yaml": "schema: 1\nenvironments: {prod: {}}\nnames: ['{role}{n:int}.{env}.example.com']\n"
    "networks: {lan: {subnet: 10.0.0.0/24, server: 'http://10.0.0.1:8080'}}\n"
    "defaults: {profile: mine, layout: lvm}\n",
    "profiles/mine.yaml": "release: el9\ninstall: {url: 'media:mine'}\n",
    "roles/web.yaml": "nics: {lan: {network: lan}}\n",
    "repos.yaml": "apps: {url: 'media:mine/AppStream', gpgcheck: false}\n",
    "hosts/web.yaml": "web1.prod.example.com:\n  nics: {lan: {mac: '02:00:00:00:00:01', address: 10.0.0.5}}\n"
    "  repos: {apps: {}}\n",
}


def test_a_profile_names_media(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", SITE)
    text = {
        kind: verb("render", "web1.prod.example.com", kind, "--site", site)
        for kind in ("kickstart", "ipxe", "bootstrap")
    }
    assert all(done.status == 0 for done in text.values()), text
    assert "url --url=http://10.0.0.1:8080/media/mine\n" in text["kickstart"].out.replace('"', "")
    assert "http://10.0.0.1:8080/media/mine/images/pxeboot/vmlinuz" in text["ipxe"].out
    assert "http://10.0.0.1:8080/media/mine/images/pxeboot/initrd.img" in text["ipxe"].out
    assert "inst.repo=http://10.0.0.1:8080/media/mine " in text["ipxe"].out
    assert "baseurl=http://10.0.0.1:8080/media/mine/AppStream" in text["bootstrap"].out
    assert "http://10.0.0.1:8080/media/mine/AppStream" in text["kickstart"].out


def test_media_that_a_host_uses_is_kept(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", SITE)
    env = {"BOOTFORGE_MEDIA": str(tmp_path / "media"), "BOOTFORGE_SITE": str(site)}
    for name in ("mine", "min", "mine.2"):
        assert verb("media", "add", tree(tmp_path / "tree"), "--name", name, **env).status == 0
    done = verb("media", "remove", "mine", **env)
    assert done.status == 2 and "mine is used by web1.prod.example.com" in done.err and "--force" in done.err
    assert verb("media", "remove", "min", "mine.2", **env).status == 0
    assert verb("media", "remove", "mine", "--force", **env).status == 0


# Mirrors


@dataclass
class Mirror:
    """A web server on loopback, and what was asked of it. ``cuts``: after how many bytes it breaks off, once each."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    cuts: dict[str, int] = field(default_factory=dict)


class served:
    def __init__(self, root: Path) -> None:
        mirror = self.mirror = Mirror("")

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, ranged = self.path.lstrip("/"), self.headers.get("Range", "")
                mirror.asked.append((path, ranged))
                file = root / path
                if not file.is_file():
                    self.send_error(404)
                    return
                content = file.read_bytes()
                start = int(ranged.removeprefix("bytes=").rstrip("-")) if ranged else 0
                self.send_response(206 if ranged else 200)
                if ranged:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start : start + mirror.cuts.pop(path, len(content))])

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        mirror.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Mirror:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.mirror

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PAUSE", 0.01)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tree(tmp_path / "tree")


@pytest.fixture
def mirror(source: Path) -> Iterator[Mirror]:
    with served(source) as mirror:
        yield mirror


def test_a_mirror(mirror: Mirror, source: Path, library: Library) -> None:
    taken = add_url(library, mirror.url + "/", None)
    assert taken.name == "test-linux-9.4-x86_64" and taken.source == mirror.url
    assert same_files(source, library.root / taken.name)
    assert (taken.checked, taken.missing) == (6, ("images/boot.iso",))
    assert library.verify(taken.name) == [] and left(library) == [taken.name]


def test_a_download_that_breaks_off_goes_on_where_it_was(mirror: Mirror, source: Path, library: Library) -> None:
    path = "images/pxeboot/initrd.img"
    mirror.cuts[path] = 1_000_000
    add_url(library, mirror.url, "one")
    assert [ranged for asked, ranged in mirror.asked if asked == path] == ["", "bytes=1000000-"]
    assert same_files(source, library.root / "one")


def test_the_next_attempt_goes_on_where_the_last_one_ended(
    mirror: Mirror, source: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "images/pxeboot/initrd.img"
    mirror.cuts[path] = 1_000_000
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    with pytest.raises(BootforgeError, match=r"initrd.img.*goes on from here") as caught:
        add_url(library, mirror.url, "one")
    assert caught.value.exit == Exit.REMOTE and library.names() == []
    mirror.asked.clear()
    add_url(library, mirror.url, "one")
    assert [ranged for asked, ranged in mirror.asked if asked == path] == ["bytes=1000000-"]
    assert "images/pxeboot/vmlinuz" not in [asked for asked, _ in mirror.asked], "what was whole is not fetched again"
    assert same_files(source, library.root / "one")


def test_a_file_that_changed_meanwhile_is_not_spliced(
    mirror: Mirror, source: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.cuts["images/pxeboot/initrd.img"] = 1_000_000
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    with pytest.raises(BootforgeError):
        add_url(library, mirror.url, "one")
    other = os.urandom(3_000_000)
    info = (source / ".treeinfo").read_text()
    changed = info.replace(hashlib.sha1(INITRD).hexdigest(), hashlib.sha1(other).hexdigest())
    (source / ".treeinfo").write_text(changed)
    (source / "images/pxeboot/initrd.img").write_bytes(other)
    monkeypatch.setattr(fetch, "ATTEMPTS", 2)
    add_url(library, mirror.url, "one")
    assert (library.root / "one/images/pxeboot/initrd.img").read_bytes() == other


def test_a_mirror_that_lies_is_refused(mirror: Mirror, source: Path, library: Library) -> None:
    (source / "Packages/b-1-1.noarch.rpm").write_bytes(b"B" * 70_000)
    with pytest.raises(BootforgeError, match=r"b-1-1.noarch.rpm: it is not what"):
        add_url(library, mirror.url, None)
    (source / "Packages/b-1-1.noarch.rpm").write_bytes(b"b" * 80_000)
    with pytest.raises(BootforgeError, match="longer than the tree says"):
        add_url(library, mirror.url, None)
    (source / "Packages/b-1-1.noarch.rpm").unlink()
    with pytest.raises(BootforgeError, match="is missing"):
        add_url(library, mirror.url, None)
    assert library.names() == []
    (part,) = left(library)
    done = verb("media", "remove", "--unfinished", BOOTFORGE_MEDIA=str(library.root))
    assert done.status == 0 and "unfinished" in done.err and left(library) == []


def test_unfinished_business_of_others_is_left_alone(library: Library) -> None:
    with library.place("x", keep=True) as place:
        (place / "part").write_text("x")
        assert library.sweep() == 0 and (place / "part").exists()
    lock = os.open(place, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)
    assert library.sweep() == 1 and left(library) == []


def test_no_mirror_at_all(tmp_path: Path, library: Library) -> None:
    with served(tmp_path) as mirror, pytest.raises(UsageError, match="no .treeinfo"):
        add_url(library, mirror.url, None)
    with pytest.raises(BootforgeError, match="Connection refused") as caught:
        add_url(library, mirror.url, None)
    assert caught.value.exit == Exit.REMOTE


# What trees say


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[general]\nfamily = X\n",
        "no section",
        "[general]\nfamily = X\nversion = 1\n[images-x86_64]\nkernel = ../../etc/passwd\n",
        "[general]\nfamily = X\nversion = 1\n[images-x86_64]\nkernel = /etc/passwd\n",
        "[general]\nfamily = X\nversion = 1\n[checksums]\n../x = sha256:" + "0" * 64,
        "[general]\nfamily = X\nversion = 1\n[variant-A]\nrepository = a/../../b\n",
        "[general]\nfamily = X\nversion = 1\n" + "x" * (1 << 20),
    ],
)
def test_a_treeinfo_that_is_none(text: str) -> None:
    with pytest.raises(BootforgeError):
        parse_treeinfo(text.encode())


def test_treeinfo_of_enterprise_linux_5() -> None:
    """As on CentOS 5.11's mirror: no sums."""
    info = parse_treeinfo(
        b"[general]\nfamily = CentOS\ntimestamp = 1411840826.75\nvariant = \ntotaldiscs = 1\nversion = 5.11\n"
        b"discnum = 1\npackagedir = CentOS\narch = x86_64\n\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\n"
        b"initrd = images/pxeboot/initrd.img\nboot.iso = images/boot.iso\n\n[images-xen]\n"
        b"kernel = images/xen/vmlinuz\ninitrd = images/xen/initrd.img\n"
    )
    assert (info.name, info.sums, info.repos) == ("centos-5.11-x86_64", {}, (".",))
    assert "images/xen/vmlinuz" in info.boots


def test_treeinfo_of_a_mirror_of_today(tmp_path: Path) -> None:
    info = parse_treeinfo((tree(tmp_path) / ".treeinfo").read_bytes())
    assert info.repos == (".",) and info.outside == ("../../../AppStream/x86_64/os",)
    assert info.sums["images/pxeboot/vmlinuz"] == ("sha256", sha256(KERNEL))


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><repomd>&a;</repomd>'


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        b"<repomd><data></repomd>",
        b'<repomd><data type="primary"><checksum type="sha256">0</checksum></data></repomd>',
        b'<repomd><data type="primary"><checksum type="crc">0</checksum><location href="x"/></data></repomd>',
        b'<repomd><data type="p"><checksum type="sha256">0</checksum><location href="../x"/></data></repomd>',
        b'<repomd><data type="p"><checksum type="sha256">0</checksum><location href="/x"/></data></repomd>',
    ],
)
def test_hostile_metadata(content: bytes) -> None:
    with pytest.raises(BootforgeError):
        read_repomd(content)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst", ""])
def test_lists_of_packages_are_compressed_in_every_way(tmp_path: Path, suffix: str) -> None:
    plain = tree(tmp_path) / "repodata/primary.xml"
    programs = {".gz": "gzip", ".xz": "xz", ".bz2": "bzip2", ".zst": "zstd"}
    if suffix:
        if shutil.which(programs[suffix]) is None:
            need(programs[suffix])
        subprocess.run([programs[suffix], "-kq", str(plain)], check=True)
    found = list(read_primary(Path(f"{plain}{suffix}")))
    assert [(one.path, one.size) for one in found] == [
        ("Packages/a-1-1.noarch.rpm", 5000),
        ("Packages/b-1-1.noarch.rpm", 70_000),
    ]
    if suffix:
        broken = tmp_path / f"broken{suffix}"
        broken.write_bytes(Path(f"{plain}{suffix}").read_bytes()[:-20])
        with pytest.raises(BootforgeError):
            list(read_primary(broken))
