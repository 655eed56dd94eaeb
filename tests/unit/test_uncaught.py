"""What no installer's parser rejects, measured with the parsers and modules of EL8, EL9 and EL10: each such fault is
found by ``check`` at a line of the site, or cannot be said. The faults that a plan cannot have (two root passwords, no
boot loader) only a site's own template can write; there they are found as well."""

from __future__ import annotations

import pytest

from tests.cases.test_cases import HERE, read_case

FOUND = {
    "bad timezone": ("uncaught/timezone", "BF010"),
    "bad keymap": ("system/keyboard", "BF094"),
    "bad language": ("system/language", "BF094"),
    "bad MAC address": ("uncaught/mac", "BF010"),
    "a bond with a member twice": ("uncaught/bond-member-twice", "BF072"),
    "bad mode of a bond": ("uncaught/bond-mode", "BF072"),
    "a group that does not exist": ("accounts/group-missing", "BF090"),
    "bad SSH key": ("access/key-nonsense", "BF045"),
    "bad service of the firewall": ("system/firewall-service", "BF094"),
    "bad port of the firewall": ("system/port-number", "BF010"),
    "bad name of a service": ("system/service-name", "BF010"),
    "two modes of SELinux": ("system/template-selinux-twice", "BF072"),
    "bad mode of SELinux": ("system/selinux", "BF010"),
    "two root passwords": ("uncaught/two-rootpw", "BF072"),
    "plain text as --iscrypted": ("uncaught/plaintext-as-hash", "BF072"),
    "plain text as a user's password": ("accounts/password-plain", "BF013"),
    "no boot loader": ("uncaught/no-bootloader", "BF072"),
    "no clearpart": ("uncaught/no-clearpart", "BF072"),
    "no reboot": ("uncaught/no-reboot", "BF072"),
    "no root password": ("uncaught/no-rootpw", "BF072"),
    "a gateway outside the subnet": ("network/gateway-outside", "BF031"),
    "such a gateway of a template": ("uncaught/gateway-off-subnet", "BF072"),
    "two default routes": ("uncaught/two-default-routes", "BF072"),
    "url and nfs": ("uncaught/url-and-nfs", "BF072"),
    "no install source": ("uncaught/no-source", "BF072"),
    "unknown addon": ("uncaught/addon", "BF072"),
    "a package listed and excluded": ("system/excluded-and-listed", "BF047"),
    "such a package of a template": ("uncaught/package-listed-and-excluded", "BF072"),
    "%include in a script": ("uncaught/include-in-post", "BF072"),
    "a mount point twice": ("uncaught/mount-twice", "BF072"),
    "a repo twice": ("uncaught/repo-twice", "BF002"),
    "a repo without a URL": ("repos/no-place", "BF091"),
    "a script that sh cannot read": ("system/template-onerror", "BF071"),
}
IMPOSSIBLE = {"carriage returns": "uncaught/carriage-returns"}
"""What is taken away on the way: the case writes it, and check finds nothing because nothing is left of it."""


@pytest.mark.parametrize("fault", FOUND)
def test_what_no_installer_rejects_is_found(fault: str) -> None:
    name, code = FOUND[fault]
    assert f"[{code}]" in read_case(HERE / f"{name}.case").transcript


@pytest.mark.parametrize("fault", IMPOSSIBLE)
def test_what_cannot_be_said(fault: str) -> None:
    case = read_case(HERE / f"{IMPOSSIBLE[fault]}.case")
    assert (case.status, case.transcript) == (0, "")


def test_every_case_of_the_directory_is_in_the_table() -> None:
    listed = {name for name, _ in FOUND.values()} | {*IMPOSSIBLE.values()}
    assert {f"uncaught/{path.stem}" for path in (HERE / "uncaught").glob("*.case")} <= listed
