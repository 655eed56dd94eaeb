"""Ranges in names and values: what they stand for, and what of them is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.resolve import Resolver
from bootforge.site.load import Site, load_site
from bootforge.site.ranges import MOST, RangeError, names, values
from tests.sites import site_with
from tests.support import verb


def test_a_name_without_a_range_is_one() -> None:
    assert names("web01.example.com") == ("web01.example.com",)


def test_a_range_keeps_its_width() -> None:
    found = names("web[098-101].example.com")
    assert found == ("web098.example.com", "web099.example.com", "web100.example.com", "web101.example.com")
    assert names("web[1-3].example.com")[1] == "web2.example.com"
    assert len(names(f"web[00001-{MOST}].x.org")) == MOST


@pytest.mark.parametrize(
    "text,at,words",
    [
        ("web[02-01].x.org", 3, "write [01-02]"),
        ("web[1-10].x.org", 3, "write [01-10]"),
        ("web[00000-10000].x.org", 3, "10001 hosts"),
        ("web[1-2].[1-2].org", 9, "second range"),
        ("web[a-b].x.org", 3, "not a range"),
        ("web[1-2.x.org", 3, "stands alone"),
        ("web1-2].x.org", 6, "stands alone"),
        ("web[].x.org", 3, "not a range"),
        ("web[[1-2]].x.org", 3, "stands alone"),
        ("web[-1].x.org", 3, "not a range"),
        ("web[" + "1" * 5000 + "-2].x.org", 3, "not a range"),
    ],
)
def test_a_wrong_range_is_told_at_its_bracket(text: str, at: int, words: str) -> None:
    with pytest.raises(RangeError) as caught:
        names(text)
    assert caught.value.at == at and words in f"{caught.value}; {caught.value.hint}"


@pytest.mark.parametrize(
    "text,count,hexadecimal,found",
    [
        ("10.2.1.7", 3, False, None),
        ("[::1]", 3, False, None),
        ("10.2.1.[9-11]", 3, False, ("10.2.1.9", "10.2.1.10", "10.2.1.11")),
        ("S[09-11]", 3, False, ("S09", "S10", "S11")),
        ("[10.2.0.255-10.2.1.1]", 3, False, ("10.2.0.255", "10.2.1.0", "10.2.1.1")),
        ("ip=[10.2.0.1-10.2.0.2]:eth[0-1]", 2, False, ("ip=10.2.0.1:eth0", "ip=10.2.0.2:eth1")),
        ("52:54:00:00:00:[09-0b]", 3, True, ("52:54:00:00:00:09", "52:54:00:00:00:0a", "52:54:00:00:00:0b")),
        ("52:54:00:00:[00:fe-01:00]", 3, True, ("52:54:00:00:00:fe", "52:54:00:00:00:ff", "52:54:00:00:01:00")),
        ("52-54-00-00-00-[08-09]", 2, True, ("52-54-00-00-00-08", "52-54-00-00-00-09")),
    ],
)
def test_a_value_for_each_host(text: str, count: int, hexadecimal: bool, found: tuple[str, ...] | None) -> None:
    assert values(text, count, hexadecimal) == found


@pytest.mark.parametrize(
    "text,count,hexadecimal,words",
    [
        ("10.2.1.[1-3]", 4, False, "write [1-4]"),
        ("10.2.1.[1-250]", 400, False, "write [10.2.1.1-10.2.2.144]"),
        ("[10.2.1.1-10.2.1.9]", 4, False, "write [10.2.1.1-10.2.1.4]"),
        ("[10.2.1.1-10.2.1.9]", 400, False, "write [10.2.1.1-10.2.2.144]"),
        ("52:54:00:00:00:[01-fa]", 4, True, "write [01-04]"),
        ("52:54:00:00:00:[1-fa]", 250, True, "different length"),
        ("52:54:00:00:[0:01-00:2]", 2, True, "different length"),
        ("52:54:00:00:00:[01-fa]", 400, True, "begin an octet earlier"),
        ("S[01-50]", 400, False, "write [001-400]"),
        ("S[01-50]", 60, False, "write [01-60]"),
        ("S[001-050]", 1200, False, "write [0001-1200]"),
        ("S[1-010]", 10, False, "different length"),
        ("S[3-1]", 3, False, "write [1-3]"),
        ("[A1-A3]", 3, False, "not a range"),
        ("S[" + "1" * 5000 + "-2]", 3, False, "not a range"),
        ("[255.255.255.254-255.255.255.255]", 3, False, "equally long"),
        ("300.1.1.[1-2]", 400, False, "equally long"),
        ("52:54:00:00:00:[0g-0h]", 2, True, "not a range"),
    ],
)
def test_a_wrong_range_of_values(text: str, count: int, hexadecimal: bool, words: str) -> None:
    with pytest.raises(RangeError) as caught:
        values(text, count, hexadecimal)
    assert caught.value.at == text.index("[") and words in f"{caught.value}; {caught.value.hint}"


RANGE = """\
web[011-410].prod.den.example.com:
  serial: QAZ[0001-0400]
  aliases: ["www[001-400].example.com"]
  ntp: [10.2.0.5, "ntp[1-400].example.com"]
  kernel_args: [quiet]
  nics:
    lan: {mac: "52:54:00:00:[00:01-01:90]", address: [10.2.1.1-10.2.2.144]}
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return load_site(site_with(tmp_path, {"hosts/many.yaml": RANGE}))


def test_every_host_of_a_range_has_its_own_values(site: Site) -> None:
    assert len(site.hosts) == 403
    spec = Resolver(site).resolve("web410.prod.den.example.com").spec
    assert (spec.serial, spec.ntp) == ("QAZ0400", ("10.2.0.5", "ntp400.example.com"))
    assert [alias.text for alias in spec.aliases] == ["www400.example.com"]
    nic = spec.nics["lan"]
    assert (str(nic.mac), str(nic.address)) == ("52:54:00:00:01:90", "10.2.2.144")


def test_the_hosts_of_a_range_share_what_they_share(site: Site) -> None:
    """One line is one place, one layer name, and one assertion in memory."""
    first, last = (site.hosts[f"web{number}.prod.den.example.com"] for number in ("011", "410"))
    assert first.origin == last.origin and first.name == last.name == "host web[011-410].prod.den.example.com"
    assert first.says["kernel_args",] is last.says["kernel_args",] and first.keys is last.keys
    assert first.says["serial",].origin == last.says["serial",].origin


def test_explain_names_the_line_of_the_range(site: Site) -> None:
    done = verb("explain", "web012.prod.den.example.com", "nics.lan.mac", "--site", site.root)
    assert done.out == (
        "nics.lan.mac: 52:54:00:00:00:02    hosts/many.yaml:7:16  host web[011-410].prod.den.example.com\n"
    )


def test_a_bracket_elsewhere_is_a_bracket(tmp_path: Path) -> None:
    """Only the entry of a range has ranges in its values."""
    files = {"hosts/more.yaml": "web05.prod.den.example.com:\n  labels: {rack: '[1-2]'}\n  serial: '[1-400]'\n"}
    spec = Resolver(load_site(site_with(tmp_path, files))).resolve("web05.prod.den.example.com").spec
    assert (spec.labels, spec.serial) == ({"rack": "[1-2]"}, "[1-400]")
