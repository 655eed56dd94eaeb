"""The archive that a boot loader adds to an initramfs, read by programs that are not ours."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from bootforge.serve.cpio import archive
from tests.support import need


@pytest.mark.parametrize("content", [b"", b"x", b"ab", b"abc", b"abcd", bytes(range(256)) * 4096])
@pytest.mark.parametrize("name", ["ks.cfg", "a", "ab", "abc"])
def test_cpio_unpacks_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    need("cpio")
    packed = gzip.decompress(archive(name, content))
    assert len(packed) % 4 == 0, "what follows a plain archive begins at a multiple of 4"
    listed = subprocess.run(["cpio", "-itvn"], input=packed, capture_output=True, check=True).stdout.decode()
    assert listed.startswith("-rw-------   1 0        0 ") and listed.endswith(f" {name}\n")
    done = subprocess.run(["cpio", "-i", "--no-preserve-owner"], input=packed, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).read_bytes() == content


def test_equal_kickstarts_make_equal_archives() -> None:
    assert archive("ks.cfg", b"text") == archive("ks.cfg", b"text")
