"""Grammars and holes: each value is quoted by the grammar that prints it, and no secret is in what is rendered."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from bootforge.addr import Mac
from bootforge.errors import RenderError, SiteError
from bootforge.model_steps import Step
from bootforge.render.engine import Engine
from bootforge.render.slots import FILTERS, QUOTERS, Quoted, make_artifact
from bootforge.words import WIPED, BootArg, Call, DiskNames, HostName, KsCommand, KsOption, Package, Slot
from tests.sites import APP, DB, WEB, base, generation_with
from tests.support import need

ROOT_SLOT = Slot("secret:root", ("$6$", "$y$"))


@pytest.mark.parametrize(
    "grammar,value,text",
    [
        ("sh", "plain", "plain"),
        ("sh", "", "''"),
        ("sh", "it's $HOME", "'it'\"'\"'s $HOME'"),
        ("sh", "`id`;", "'`id`;'"),
        ("sh", 7, "7"),
        ("ks", "a b", "'a b'"),
        ("ks", "a#b", "'a#b'"),
        ("ks", Mac("52:54:00:12:34:56"), "52:54:00:12:34:56"),
        ("ks", HostName("db01.example.com"), "db01.example.com"),
        ("ks", Package("@^minimal-environment"), "@^minimal-environment"),
        ("ks", Package("gcc-c++"), "gcc-c++"),
        ("ks", Package("@games", excluded=True), "-@games"),
        ("ks", KsCommand("zerombr"), "zerombr"),
        (
            "ks",
            KsCommand("part", (KsOption("", "/a b"), KsOption("--size", 7), KsOption("--grow"))),
            "part '/a b' --size=7 --grow",
        ),
        ("ipxe", "http://10.2.0.5:80/a?b=c&d", "http://10.2.0.5:80/a?b=c&d"),
        ("ipxe", BootArg("console", "ttyS0,115200n8"), "console=ttyS0,115200n8"),
        ("ipxe", BootArg("inst.text"), "inst.text"),
        ("grub", "http://10.2.0.5:80/a?b=c&d", "'http://10.2.0.5:80/a?b=c&d'"),
        ("grub", "(http,10.2.0.5:8080)/tree", "'(http,10.2.0.5:8080)/tree'"),
        ("grub", BootArg("console", "ttyS0,115200n8"), "console=ttyS0,115200n8"),
        ("grub", BootArg("x", "a;b"), "x='a;b'"),
        ("grub", BootArg("inst.text"), "inst.text"),
        ("pxe", "http://10.2.0.5:80/a?b=c&d;e", "http://10.2.0.5:80/a?b=c&d;e"),
        ("pxe", BootArg("console", "ttyS0,115200n8"), "console=ttyS0,115200n8"),
        ("dnsmasq", "10.2.0.5", "10.2.0.5"),
        ("comment", "a 'b' $c", "a 'b' $c"),
        ("call", Call("user", ("db", 5000, "it's")), """bf_user db 5000 'it'"'"'s'"""),
        ("call", Step("hostname", "hostname", (HostName("a.b"), "x y"), ()), "bf_hostname a.b 'x y'"),
    ],
)
def test_a_value_in_its_grammar(grammar: str, value: object, text: str) -> None:
    quoted = FILTERS[grammar](value)
    assert quoted == text
    assert isinstance(quoted, Quoted)


@pytest.mark.parametrize("grammar", QUOTERS)
@pytest.mark.parametrize("character", ["\x00", "\x02", "\x03", "\n", "\r", "\x1b", "\x1f", "\x7f", "\x85", "\u2028"])
def test_no_grammar_takes_a_control_character(grammar: str, character: str) -> None:
    """Also those that mark slots: no value can forge one."""
    with pytest.raises(RenderError):
        FILTERS[grammar](f"a{character}b")


@pytest.mark.parametrize(
    "grammar,value",
    [
        ("ipxe", "${net0/mac}"),
        ("ipxe", "a b"),
        ("ipxe", "a'b"),
        ("ipxe", "a;b"),
        ("ipxe", "a#b"),
        ("ipxe", "||"),
        ("ipxe", ""),
        ("grub", "a b"),
        ("grub", "a'b"),
        ("grub", 'a"b'),
        ("grub", "a\\b"),
        ("grub", "\u00e4"),
        ("grub", ""),
        ("pxe", "a b"),
        ("pxe", "a'b"),
        ("pxe", 'a"b'),
        ("pxe", "a\\b"),
        ("pxe", "\u00e4"),
        ("pxe", ""),
        ("dnsmasq", "a,b"),
        ("dnsmasq", "a#b"),
        ("dnsmasq", '"a'),
        ("dnsmasq", ""),
        ("ks", Package("%end")),
        ("ks", Package("a b")),
        ("ks", Package("-kernel")),
        ("ks", Package("-kernel", excluded=True)),
        ("ks", Package("a\n%end")),
    ],
)
def test_what_a_grammar_cannot_hold_is_refused_and_not_mangled(grammar: str, value: object) -> None:
    with pytest.raises(RenderError):
        FILTERS[grammar](value)


@pytest.mark.parametrize("grammar", ["sh", "ks", "ipxe", "grub", "pxe", "dnsmasq", "comment"])
def test_a_slot_is_a_hole_that_knows_its_grammar(grammar: str) -> None:
    text = f"# before\nx {FILTERS[grammar](ROOT_SLOT)} y {FILTERS[grammar](Slot('grant.url'))}\n"
    artifact = make_artifact("kickstart", "text/plain", text)
    assert artifact.text == "# before\nx @secret:root@ y @grant.url@\n"
    first, second = artifact.slots
    assert (first.slot, first.grammar) == (ROOT_SLOT, grammar)
    assert (second.slot, second.grammar) == (Slot("grant.url"), grammar)
    for use in artifact.slots:
        assert artifact.text[use.offset : use.offset + use.length] == str(use.slot)


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "busybox sh"])
@pytest.mark.parametrize("value", ["$(id) `id` ${x} $x", '"; id; "', "a'b\\", "\\$x", "!x", "*", "a b"])
def test_a_storage_command_is_one_word_of_the_shell(shell: str, value: str) -> None:
    """Whatever a value holds; only the names of disks are the shell's."""
    need(shell.split()[0])
    option = KsOption("--append", value)
    command = KsCommand("bootloader", (KsOption("--drive", DiskNames((1, "x y", WIPED))), option, KsOption("", "w")))
    script = f"bf_disk1=sda bf_disk0=sdb,sdc\nprintf '<%s>' {FILTERS['shks'](command)}"
    done = subprocess.run([*shell.split(), "-c", script], capture_output=True, text=True, env={"PATH": os.defpath})
    assert (done.stderr, done.stdout) == (
        "",
        f"<bootloader --drive=sda,'x y',sdb,sdc --append={shlex.quote(value)} w>",
    )


def test_a_disk_that_only_the_machine_knows_is_no_word_of_a_kickstart() -> None:
    with pytest.raises(RenderError, match="known on the machine only"):
        FILTERS["ks"](KsCommand("part", (KsOption("--ondisk", DiskNames((1,))),)))
    assert (
        FILTERS["ks"](KsCommand("part", (KsOption("--ondisk", DiskNames(("sda", "sdb"))),))) == "part --ondisk=sda,sdb"
    )
    with pytest.raises(RenderError, match="cannot be in a storage command"):
        FILTERS["shks"](KsCommand("part", (KsOption("--label", Slot("grant.wipe")),)))


def test_what_looks_like_a_slot_is_text() -> None:
    artifact = make_artifact("a", "b", f"x {FILTERS['ks']('@secret:root@')}\n")
    assert artifact.text == "x @secret:root@\n" and artifact.slots == ()


def test_the_digest_is_that_of_the_text_that_everybody_may_see() -> None:
    import hashlib

    one, two = (make_artifact("a", "b", f"{FILTERS['ks'](Slot(source))}\n") for source in ("secret:a", "secret:b"))
    assert one.digest == hashlib.sha256(b"@secret:a@\n").hexdigest() != two.digest


def test_every_artifact_is_plain_text_without_marks(tmp_path: Path) -> None:
    generation = generation_with(tmp_path)
    for name in (WEB, DB, APP):
        for artifact in generation.artifacts(name).values():
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", artifact.text), artifact.name
            assert artifact.text.endswith("\n") and artifact.text.encode("ascii")
    assert {use.slot.source for use in generation.artifact(DB, "kickstart").slots} == {
        "grant.wipe",
        "secret:root_hash",
        "site.revision",
    }
    assert [use.slot.source for use in generation.artifact(DB, "ipxe").slots] == ["grant.url"]
    assert generation.artifact(DB, "bootstrap").slots == ()
    assert generation.artifact(APP, "xl").slots == ()


def test_the_kickstart_names_the_bootstrap_that_belongs_to_it(tmp_path: Path) -> None:
    generation = generation_with(tmp_path)
    digest = generation.artifact(DB, "bootstrap").digest
    assert f"\ndigest={digest}\n" in generation.artifact(DB, "kickstart").text
    assert digest not in generation.artifact(WEB, "kickstart").text


def test_a_bootstrap_may_not_have_a_slot(tmp_path: Path) -> None:
    """It is served to anybody who has the URL, so a template that puts one there is refused."""
    plan = generation_with(tmp_path).plan(DB)
    files = {"templates/bootstrap/main.sh.j2": b"#!/bin/sh\necho {{ host | sh }}\n"}
    from dataclasses import replace

    from bootforge.render.bootstrap import render_bootstrap

    assert render_bootstrap(plan, Engine(files)).text == f"#!/bin/sh\necho {DB}\n"
    with pytest.raises(RenderError, match="the bootstrap has the slot @secret:root@"):
        render_bootstrap(replace(plan, host=ROOT_SLOT), Engine(files))  # type: ignore[arg-type]


def test_an_output_without_a_grammar_is_refused_when_it_is_printed_too() -> None:
    """The allow-list refuses it when the template is loaded; this is the second lock."""
    environment = Engine({}).environment
    with pytest.raises(RenderError, match="an unquoted str reached an output"):
        environment.from_string("{{ a }}").render(a="x")
    with pytest.raises(RenderError, match="an unquoted int reached an output"):
        environment.from_string("{{ a }}").render(a=1)
    assert environment.from_string("{{ a | sh }}").render(a="x y") == "'x y'"


def test_a_public_key_is_one_word_of_the_kickstart_whatever_its_comment_says(tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDK8mGnano6PWNSuVWs7npokg9yYdMvtFHJ0+3tH4unx"
    files = {"keys/ops.pub": f'{key} it\'s "mine" $(id) # %end\n'}
    text = generation_with(tmp_path, files).artifact(DB, "kickstart").text
    (line,) = [line for line in text.splitlines() if line.startswith("sshkey")]
    assert shlex.split(line) == ["sshkey", f'{key} it\'s "mine" $(id) # %end', "--username=root"]


def test_a_value_of_the_site_cannot_end_a_section(tmp_path: Path) -> None:
    """A title goes into a comment: one line, whatever the names are."""
    text = generation_with(tmp_path, {"hosts/den.yaml": base("hosts/den.yaml")}).artifact(DB, "kickstart").text
    assert text.splitlines()[0] == f"# {DB}: profile rocky9, layout lvm, roles db"
    assert re.findall("^%\\w+", text, re.MULTILINE) == [
        *("%packages", "%end"),
        *("%pre", "%end"),
        *("%post", "%end") * 2,
        "%onerror",
        "%end",
    ]


# What the fleet's DHCP configuration holds


def test_dnsmasq_reserves_every_nic_of_a_network_with_a_server(tmp_path: Path) -> None:
    text = generation_with(tmp_path).dnsmasq("full")
    assert [line for line in text.splitlines() if line.startswith("dhcp-host=")] == [
        f"dhcp-host=52:54:00:12:34:56,10.2.0.21,{WEB}",
        f"dhcp-host=52:54:00:12:34:57,10.2.0.31,{DB}",
        f"dhcp-host=52:54:00:12:34:58,10.2.0.41,{APP}",
    ]
    assert "den-bmc" not in text
    assert "dhcp-range=set:den-lan,10.2.15.100,10.2.15.199,255.255.240.0,12h\n" in text
    assert "dhcp-boot=tag:den-lan,tag:_ipxe,tag:!den-lan_own,tftp://10.2.0.5/http/10.2.0.5/boot.ipxe\n" in text


def test_proxy_mode_gives_no_addresses(tmp_path: Path) -> None:
    text = generation_with(tmp_path).dnsmasq("proxy")
    assert "dhcp-host=" not in text and "dhcp-option=" not in text
    assert "dhcp-range=set:den-lan,10.2.0.0,proxy,255.255.240.0\n" in text


def test_firmware_needs_the_servers_address(tmp_path: Path) -> None:
    files = {"site.yaml": base("site.yaml", ("http://10.2.0.5", "http://boot.example.com"))}
    with pytest.raises(SiteError) as caught:
        generation_with(tmp_path, files)
    assert "write http://ADDRESS" in caught.value.problems[0].line()


# Xen


def test_an_xl_configuration(tmp_path: Path) -> None:
    assert generation_with(tmp_path).artifact(APP, "xl").text.splitlines() == [
        f"# {APP}: rendered by Bootforge; changes are lost.",
        f'name = "{APP}"',
        'type = "hvm"',
        "memory = 4096",
        "vcpus = 2",
        'boot = "c"',
        'vif = [ "mac=52:54:00:12:34:58,bridge=xenbr0" ]',
        'disk = [ "format=raw,vdev=xvda,access=rw,target=/dev/vg0/app01" ]',
        'serial = "pty"',
        'on_poweroff = "destroy"',
        'on_reboot = "restart"',
        'on_crash = "restart"',
    ]
