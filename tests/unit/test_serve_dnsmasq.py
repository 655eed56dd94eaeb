"""Leases of former owners: which they are, and the message that releases one. The rest is asked of a real dnsmasq."""

from __future__ import annotations

import pytest

from bootforge.serve.dnsmasq import Held, release, stale

HOSTS = """00:14:4f:12:34:50,10.2.0.21,web01.prod.den.example.com
00:14:4f:12:34:53,00:14:4f:12:34:54,10.2.0.32,db02.prod.den.example.com
00:14:4f:12:34:60,db01.prod.den.example.com
"""


@pytest.mark.parametrize(
    "line",
    [
        "1795863139 00:14:4f:12:34:50 10.2.0.21 web01 *",
        "1795863139 00:14:4f:12:34:54 10.2.0.32 db02 01:00:14:4f:12:34:54",
        "1795863139 00:14:4f:12:34:60 10.2.15.100 db01 *",
        "1795863139 52:54:00:ab:cd:ef 10.2.15.101 * *",
        "1795863139 06-00:14:4f 10.2.0.21 * *",
        "duid 00:01:00:01:30:ab",
        "",
        "what is this",
    ],
)
def test_a_lease_that_takes_nothing_away_is_kept(line: str) -> None:
    assert list(stale(f"{line}\n", HOSTS)) == []


def test_a_lease_of_an_address_that_is_planned_for_another_is_stale() -> None:
    leases = "1 00:14:4f:12:34:60 10.2.0.21 db01 01:02\n2 52:54:00:ab:cd:ef 10.2.0.32 * *\n"
    assert list(stale(leases, HOSTS)) == [
        Held("00:14:4f:12:34:60", "10.2.0.21", "01:02"),
        Held("52:54:00:ab:cd:ef", "10.2.0.32", "*"),
    ]
    assert list(stale(leases, "")) == []


def test_the_message_is_the_holders() -> None:
    """RFC 2131, table 5: ciaddr, chaddr, the server's identifier and that of the client, if it has one."""
    held = Held("52:54:00:ab:cd:ef", "10.2.0.32", "01:02:03")
    message = release(held, "10.2.0.5", relayed=False)
    assert (message[0], message[12:16], message[24:34]) == (
        1,
        bytes([10, 2, 0, 32]),
        bytes(4) + bytes.fromhex("525400abcdef"),
    )
    assert message[236:] == bytes.fromhex("63825363 350107 36040a020005 3d03010203 ff")
    relayed = release(Held(held.mac, held.address, "*"), "10.2.0.5", relayed=True)
    assert relayed[24:28] == bytes([10, 2, 0, 32]) and relayed[236:] == bytes.fromhex("63825363 350107 36040a020005 ff")
