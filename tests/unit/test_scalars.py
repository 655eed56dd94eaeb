"""The scalars of the site language: each text is decided, never guessed at, and each refusal says what to write."""

from __future__ import annotations

from importlib import import_module
from ipaddress import IPv4Address, IPv4Network
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bootforge import site
from bootforge.addr import Mac, parse_mac
from bootforge.words import HostName

MODULES = [
    import_module(f"bootforge.site.{module.name}")
    for module in iter_modules(site.__path__)
    if module.name.startswith("scalars")
]


def scalars_of(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if getattr(value, "__metadata__", None)}


SCALARS = {name: value for module in MODULES for name, value in scalars_of(module).items()}
KINDS = sorted(SCALARS)
ALLOWED = {"Block": "\t\n", "Line": "\t", "Value": "\t", "Separator": "\t"}
"""Control characters that texts of files may have."""


def read(kind: str, text: Any, **context: Any) -> Any:
    return TypeAdapter(SCALARS[kind]).validate_python(text, context=context)


@pytest.mark.parametrize(
    "kind,text,value",
    [
        ("Text", "no", "no"),
        ("Text", "9.10", "9.10"),
        ("Text", "\u00fcber \U0001f600", "\u00fcber \U0001f600"),
        ("Name", "den-lan", "den-lan"),
        ("Name", "a", "a"),
        ("Count", "1", 1),
        ("Count", "128", 128),
        ("Bool", "true", True),
        ("Bool", "false", False),
        ("Size", "512MiB", 512),
        ("Size", "8GiB", 8192),
        ("Size", "8 GiB", 8192),
        ("Size", "2TiB", 2097152),
        ("Host", "db01.example.com", HostName("db01.example.com")),
        ("Host", "1u.example.com", HostName("1u.example.com")),
        ("Url", "http://mirror.example.com/rocky/9/os/", "http://mirror.example.com/rocky/9/os"),
        ("Url", "https://10.0.0.1:8443/a%20b", "https://10.0.0.1:8443/a%20b"),
        ("Server", "http://10.2.0.5", "http://10.2.0.5"),
        ("Server", "http://10.2.0.5:8080/", "http://10.2.0.5:8080"),
        ("Timezone", "America/Denver", "America/Denver"),
        ("Language", "en_US.UTF-8", "en_US.UTF-8"),
        ("Language", "de_DE", "de_DE"),
        ("Word", "ttyS0,115200n8", "ttyS0,115200n8"),
        ("BootWord", "console=ttyS0,115200n8", "console=ttyS0,115200n8"),
        ("Interface", "xenbr0", "xenbr0"),
        ("Package", "java-17-openjdk-headless", "java-17-openjdk-headless"),
        ("Package", "@^minimal-environment", "@^minimal-environment"),
        ("Package", "@core", "@core"),
        ("Package", "glibc.i686", "glibc.i686"),
        ("Package", "gcc-c++", "gcc-c++"),
        ("SitePath", "keys/ops.pub", "keys/ops.pub"),
        ("SitePath", "keys/..ops", "keys/..ops"),
        ("Device", "/dev/sda", "/dev/sda"),
        ("Device", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"),
        ("MacText", "52:54:00:12:34:56", Mac("52:54:00:12:34:56")),
        ("Address", "10.2.0.21", IPv4Address("10.2.0.21")),
        ("Subnet", "10.2.0.0/20", IPv4Network("10.2.0.0/20")),
        ("Range", "10.2.0.1-10.2.0.9", (IPv4Address("10.2.0.1"), IPv4Address("10.2.0.9"))),
        ("Range", "10.2.0.1 - 10.2.0.1", (IPv4Address("10.2.0.1"), IPv4Address("10.2.0.1"))),
        ("Uuid", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("SecretName", "root_hash", "root_hash"),
        ("FilePath", "/etc/systemd/system/getty@.service", "/etc/systemd/system/getty@.service"),
        ("FilePath", "/root/.bashrc", "/root/.bashrc"),
        ("Mode", "0644", "644"),
        ("Mode", "2755", "2755"),
        ("Mode", "0000", "0"),
        ("Line", "\tx = 'y' ", "\tx = 'y' "),
        ("Value", "", ""),
        ("Block", "a\n\n\tb\n", "a\n\n\tb\n"),
        ("Notify", "restart httpd", "restart:httpd"),
        ("Notify", "daemon-reload", "daemon-reload"),
        ("Separator", " = ", " = "),
        ("Separator", "\t", "\t"),
        ("Match", r"^#?Port [0-9]+$", r"^#?Port [0-9]+$"),
    ],
)
def test_what_is_read(kind: str, text: str, value: object) -> None:
    assert read(kind, text) == value
    assert type(read(kind, text)) is not bool or kind == "Bool"


@pytest.mark.parametrize(
    "kind,text,words",
    [
        ("Name", "Web", "lower-case letters"),
        ("Name", "7z", "a letter first"),
        ("Name", "web-", "is not a name"),
        ("Name", "web_1", "is not a name"),
        ("Name", "caf\u00e9", "is not a name"),
        ("Name", "x" * 64, "is not a name"),
        ("Count", "0", "above zero"),
        ("Count", "012", "no zero first"),
        ("Count", "1_000", "decimal digits"),
        ("Count", "+1", "is not a whole number"),
        ("Count", "1.0", "is not a whole number"),
        ("Count", "\u0661", "is not a whole number"),
        ("Count", "9" * 40, "is not a whole number"),
        ("Bool", "no", "neither true nor false; write one of them in lower case"),
        ("Bool", "True", "neither true nor false"),
        ("Bool", "1", "neither true nor false"),
        ("Size", "8", "as in 8GiB"),
        ("Size", "8G", "as in 8GiB"),
        ("Size", "8GB", "as in 8GiB"),
        ("Size", "1.5GiB", "a whole number of"),
        ("Size", "0GiB", "is not a size"),
        ("Size", "-1GiB", "is not a size"),
        ("Host", "db01", "write it in full"),
        ("Host", "DB01.example.com", "lower case"),
        ("Host", "db_01.example.com", "is not a host name"),
        ("Host", "-db.example.com", "is not a host name"),
        ("Host", "db..example.com", "is not a host name"),
        ("Host", "db.example.com.", "is not a host name"),
        ("Host", "10.2.0.7", "is not a host name"),
        ("Host", f"{'x' * 64}.example.com", "is not a host name"),
        ("Host", ".".join(["x" * 60] * 5), "is not a host name"),
        ("Url", "ftp://mirror.example.com/", "write http://HOST/PATH"),
        ("Url", "http://user:secret@mirror.example.com/", "without query, user or blanks"),
        ("Url", "http://mirror.example.com/?a=b", "without query"),
        ("Url", "http://mirror.example.com/a b", "is not a URL"),
        ("Url", "http://mirror.example.com/$releasever", "is not a URL"),
        ("Url", "http://mirror.example.com/'", "is not a URL"),
        ("Url", "http://mirror.example.com:65536/", "is not a URL"),
        ("Url", "http://[::1", "is not a URL"),
        ("Url", "http://", "is not a URL"),
        ("Server", "https://10.2.0.5", "write http://ADDRESS or http://ADDRESS:PORT"),
        ("Server", "http://10.2.0.5/bf", "is not a server"),
        ("Server", "http://10.2.0.5:99999", "is not a server"),
        ("Timezone", "America/Denvr", "did you mean 'America/Denver'?"),
        ("Timezone", "x", "as in Europe/Berlin"),
        ("Language", "english", "as in en_US.UTF-8"),
        ("Word", "a b", "without blanks"),
        ("Word", "a'b", "without blanks, quotes"),
        ("Word", "", "is not one word"),
        ("BootWord", "a=${b}", "is not one word of a netboot script"),
        ("BootWord", "a;b", "is not one word of a netboot script"),
        ("Interface", "br0,script=x", "is not the name of an interface"),
        ("Interface", "abcdefghijklmnop", "is not the name of an interface"),
        ("Package", "mysql server", "is not a package"),
        ("Package", "mysql*", "is not a package"),
        ("Package", "-x", "is not a package"),
        ("Package", "%end", "is not a package"),
        ("Package", "@", "is not a package"),
        ("Package", "a --exclude=b", "is not a package"),
        ("SitePath", "../keys/ops.pub", "as in keys/ops.pub"),
        ("SitePath", "keys/../../ops.pub", "is not a path below the site"),
        ("SitePath", "/etc/passwd", "is not a path below the site"),
        ("SitePath", "keys//ops.pub", "is not a path below the site"),
        ("SitePath", "./ops.pub", "is not a path below the site"),
        ("SitePath", "", "is not a path below the site"),
        ("Device", "sda", "as in /dev/sda"),
        ("Device", "/dev/../etc/passwd", "is not a device"),
        ("Device", "/dev/sda sdb", "is not a device"),
        ("Device", "/dev/sda,/dev/sdb", "is not a device"),
        ("MacText", "52:54:00-12:34:56", "six octets"),
        ("MacText", "52:54:00:12:34", "six octets"),
        ("MacText", "01:00:5e:00:00:01", "group (multicast)"),
        ("Address", "10.2.0.300", "from 0 to 255"),
        ("Address", "010.2.0.1", "without leading zeros"),
        ("Address", "10.2.0.1/20", "without a prefix length"),
        ("Address", "10.2.1", "four numbers"),
        ("Address", "2001:db8::1", "is not an IPv4 address"),
        ("Address", " 10.2.0.1", "is not an IPv4 address"),
        ("Subnet", "10.2.0.7/20", "write 10.2.0.0/20"),
        ("Subnet", "10.2.0.0/255.255.240.0", "write 10.2.0.0/20"),
        ("Subnet", "10.2.0.0", "has no prefix length"),
        ("Subnet", "10.2.0.0/33", "as in 10.2.0.0/20"),
        ("Range", "10.2.0.9-10.2.0.1", "write the lower address first"),
        ("Range", "10.2.0.1-9", "is not an IPv4 address"),
        ("Range", "10.2.0.1", "as in 10.2.0.100-10.2.0.199"),
        ("Uuid", "1234", "uuidgen prints one"),
        ("SecretName", "Root Hash", "lower-case letters"),
        ("FilePath", "etc/motd", "as in /etc/motd"),
        ("FilePath", "/etc/../motd", "as in /etc/motd"),
        ("FilePath", "/etc/", "as in /etc/motd"),
        ("FilePath", "/etc/a b", "as in /etc/motd"),
        ("Mode", "644x", "octal digits"),
        ("Mode", "0888", "octal digits"),
        ("Mode", "64", "octal digits"),
        ("Notify", "start httpd", "restart NAME"),
        ("Notify", "run Two", "a name of 'commands:'"),
        ("SettingKey", "#Port", "begins no comment"),
        ("Separator", "a", "as in ' = '"),
        ("Process", "a-name-of-16-chr", "first 15 characters"),
        ("Match", "a{2}", "not every awk"),
        ("Match", r"\d", "not every awk"),
        ("Match", "*a", "nothing can be repeated"),
        ("Match", "a**", "nothing can be repeated"),
        ("Match", "(a", "never closed"),
        ("Match", "a)", "not open"),
        ("Match", "[a", "never closed"),
        ("Match", "a|", "nothing on one side"),
        ("Match", "a^b", "write"),
        ("Match", "a$b", "write"),
        ("Match", "[[:word:]]", "no class"),
        ("Match", "[z-a]", "lower one first"),
    ],
)
def test_what_is_refused(kind: str, text: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(kind, text)
    (error,) = caught.value.errors()
    assert words in error["msg"]
    assert repr(text) in error["msg"] or (kind == "Range" and "'9'" in error["msg"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("character", ["\x00", "\x07", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u2028"])
def test_no_scalar_takes_a_control_character(kind: str, character: str) -> None:
    if character in ALLOWED.get(kind, ""):
        return
    with pytest.raises(ValidationError) as caught:
        read(kind, f"a{character}b")
    assert "control character" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [1, 1.5, True, None, b"a", ["a"], {"a": "b"}])
def test_no_scalar_takes_anything_but_text(kind: str, value: object) -> None:
    """pydantic would make 1 from True and '1' from 1; here everything arrives as it was written."""
    with pytest.raises(ValidationError):
        read(kind, value)


@pytest.mark.parametrize("kind", KINDS)
def test_no_scalar_is_endless(kind: str) -> None:
    longest = 65536 if kind == "Block" else 4096
    with pytest.raises(ValidationError, match=f"{longest + 1} characters long"):
        read(kind, "a" * (longest + 1))


def test_there_are_scalars_to_test() -> None:
    assert {module.__name__.rpartition(".")[2] for module in MODULES} >= {"scalars", "scalars_network"}
    assert all(len(scalars_of(module)) > 8 for module in MODULES)
    assert len(KINDS) == sum(len(scalars_of(module)) for module in MODULES) > 60


@pytest.mark.parametrize("kind,waits", [("FactsName", True), ("Url", True), ("FactsWord", True), ("Name", False)])
def test_a_fact_waits_for_its_host_only_where_facts_are_taken(kind: str, waits: bool) -> None:
    if waits:
        assert read(kind, "{site} {nonsense}", layer=True) == "{site} {nonsense}"
    else:
        with pytest.raises(ValidationError):
            read(kind, "{site}", layer=True)
    with pytest.raises(ValidationError):
        read(kind, "{site} lan")


@pytest.mark.parametrize(
    "text",
    ["52:54:00:12:34:56", "52-54-00-12-34-56", "525400123456", "5254.0012.3456", "52:54:00:12:34:56".upper()],
)
def test_one_mac_address_in_every_form(text: str) -> None:
    assert parse_mac(text) == Mac("52:54:00:12:34:56")
    assert parse_mac(text).dashed == "52-54-00-12-34-56"


@pytest.mark.parametrize(
    "text,words",
    [
        ("52:54:00:12:34", "six octets"),
        ("52:54:00:12:34:56:78", "six octets"),
        ("52:54:00-12:34:56", "six octets"),
        ("52:54:0:12:34:56", "six octets"),
        ("52:54:00:12:34:5g", "six octets"),
        ("525400123456789", "six octets"),
        ("90520045094", "six octets"),
        ("", "six octets"),
        ("01:00:5e:00:00:01", "group (multicast)"),
        ("ff:ff:ff:ff:ff:ff", "group (multicast)"),
        ("00:00:00:00:00:00", "all zeros"),
    ],
)
def test_what_is_no_mac_address(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_mac(text)
    assert words in str(caught.value)


def test_macs_sort_by_number_and_compare_by_value() -> None:
    assert parse_mac("00:00:00:00:00:0a") < parse_mac("00:00:00:00:00:10")
    assert parse_mac("52-54-00-12-34-56") == parse_mac("525400123456")
