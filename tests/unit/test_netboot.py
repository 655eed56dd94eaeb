"""The three netboot scripts of every release: one list of kernel arguments, each in its own grammar, read back by a
reader of that grammar."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from bootforge.errors import RenderError, SiteError
from bootforge.generation import Generation, build_generation
from bootforge.lint import lint
from bootforge.model import LocalBoot, Plan
from bootforge.plan.cmdline import LIMIT, TOKEN, kickstart_path
from bootforge.releases import RELEASES
from bootforge.render import Engine, render
from bootforge.render.netboot import render_grub_chain, render_local, render_others
from bootforge.seal import Grant, Vault, seal
from bootforge.state import ServerKey
from bootforge.words import BootArg
from tests.sites import DB, base, generation_with
from tests.support import SMALL, need

UNPREFIXED = {"ks", "repo", "stage2", "method", "kssendmac", "kssendsn", "ksdevice", "noverifyssl", "text", "cmdline"}
TREE = "http://mirror.example.com:8080/t&(1)/x86_64"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    """A host of every release, with arguments that no grammar prints as they are."""
    site = shutil.copytree(SMALL, tmp_path_factory.mktemp("netboot") / "site")
    text = ""
    for number, release in enumerate(RELEASES, 1):
        (site / "profiles").mkdir(exist_ok=True)
        (site / f"profiles/p{number}.yaml").write_text(
            f"release: {release}\n"
            f'install: {{url: "{TREE}", args: ["console=ttyS0,115200n8", "a=b&c", "rd.x=(y)[z]*", quiet]}}\n'
        )
        nic = f"lan: {{device: eth0, mac: '02:00:00:00:00:{number:02x}', address: 10.2.1.{number}}}"
        text += f"web{number:02}.prod.den.example.com: {{profile: p{number}, nics: {{{nic}}}}}\n"
    (site / "hosts/den.yaml").write_text(text)
    (site / "rules.yaml").unlink()
    return build_generation(site)


def texts(generation: Generation, plan: Plan) -> dict[str, str]:
    return {name: one.text for name, one in generation.artifacts(plan.host.text).items()}


def ipxe_args(text: str) -> list[str]:
    pattern = r"^kernel --timeout 20000 --name kernel \S+ initrd=initrd(?: initrd=kickstart)? (.*) \|\| goto failed$"
    (line,) = re.findall(pattern, text, re.MULTILINE)
    return line.split()


def grub_args(text: str) -> list[str]:
    """GRUB's single quotes are those of a shell, and there is nothing else in our words."""
    (line,) = re.findall(r"^ *if \$linux (.*); then$", text, re.MULTILINE)
    return shlex.split(line)[1:]


def pxelinux_args(text: str) -> list[str]:
    (line,) = re.findall(r"^  APPEND (.*)$", text, re.MULTILINE)
    return line.split(" ")


@pytest.mark.parametrize("release", RELEASES)
def test_the_three_scripts_give_the_kernel_the_same_arguments(fleet: Generation, release: str) -> None:
    (plan,) = [plan for plan in fleet.plans.values() if plan.release == release]
    script = texts(fleet, plan)
    planned = [one.name if one.value is None else f"{one.name}={one.value}" for one in plan.boot.args]
    assert ipxe_args(script["ipxe"]) == grub_args(script["grub"]) == pxelinux_args(script["pxelinux"]) == planned
    assert f"BOOTIF=01-{plan.boot_nic.mac.dashed}" in planned and "a=b&c" in planned
    assert sum("grant.url" in word for word in planned) == 1


@pytest.mark.parametrize("release", RELEASES)
def test_no_script_has_an_option_that_the_release_does_not_read(fleet: Generation, release: str) -> None:
    """EL9 and later ignore options without the prefix, EL5 and EL6 those with it (anaconda:
    dracut/parse-anaconda-options.sh, loader/loader.c); each is looked for in the words of all three scripts."""
    (plan,) = [plan for plan in fleet.plans.values() if plan.release == release]
    script = texts(fleet, plan)
    for words in (ipxe_args(script["ipxe"]), grub_args(script["grub"]), pxelinux_args(script["pxelinux"])):
        names = {word.partition("=")[0] for word in words}
        prefixed = {name for name in names if name.startswith("inst.")}
        if RELEASES[release].prefix:
            assert names & UNPREFIXED == set() and {"inst.ks", "inst.repo", "inst.ks.sendmac"} <= prefixed
        else:
            assert prefixed == set() and "ks" in names and {"repo", "method"} & names


def test_grub_reads_every_script(fleet: Generation) -> None:
    need("grub-script-check")
    for name in fleet.plans:
        text = fleet.artifact(name, "grub").text
        done = subprocess.run(["grub-script-check"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), text
    done = subprocess.run(["grub-script-check"], input=text.replace("; then", "", 1), capture_output=True, text=True)
    assert done.returncode != 0


def test_a_reader_of_syslinux_finds_kernel_initrd_and_arguments(fleet: Generation, tmp_path: Path) -> None:
    """GRUB brings a reader of its own for configurations of syslinux."""
    need("grub-syslinux2cfg")
    for name in fleet.plans:
        text = fleet.artifact(name, "pxelinux").text
        (tmp_path / "pxelinux").write_text(text)
        done = subprocess.run(["grub-syslinux2cfg", "pxelinux"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (line,) = re.findall(r"^ *linux\S* (.*)$", done.stdout, re.MULTILINE)
        assert shlex.split(line)[0].endswith(f"{TREE}/images/pxeboot/vmlinuz")
        assert shlex.split(line)[1:] == pxelinux_args(text)
        assert f"{TREE}/images/pxeboot/initrd.img" in done.stdout


@pytest.mark.parametrize("release", RELEASES)
def test_signed_grub_of_el7_and_el8_has_its_own_command_on_uefi(fleet: Generation, release: str) -> None:
    (plan,) = [plan for plan in fleet.plans.values() if plan.release == release]
    assert ("set linux=linuxefi" in texts(fleet, plan)["grub"]) == (release in ("el7", "el8"))


def test_grub_gets_files_by_its_own_names(tmp_path: Path) -> None:
    for number, (url, file) in enumerate(
        [
            ("http://10.2.0.9/tree", "(http,10.2.0.9)/tree"),
            ("http://10.2.0.9:80/tree", "(http,10.2.0.9)/tree"),
            ("http://media.example.com:8080", "(http,media.example.com:8080)"),
        ]
    ):
        files = {
            "hosts/den.yaml": base("hosts/den.yaml", ("0911QAZ4711\n", f"0911QAZ4711\n  install: {{url: {url}}}\n"))
        }
        text = generation_with(tmp_path / str(number), files).artifact(DB, "grub").text
        assert f"\n  if $linux '{file}/images/pxeboot/vmlinuz' " in text
        assert f"\n    if $initrd '{file}/images/pxeboot/initrd.img'; then\n" in text


def test_a_grub_without_http_finds_the_tree_of_this_server_beside_its_shim(tmp_path: Path) -> None:
    for number, (url, loader, near) in enumerate(
        [("media:t", "shim", True), ("media:t", "ipxe", False), ("http://10.2.0.9/t", "shim", False)]
    ):
        more = f"4711\n  install: {{url: '{url}'}}\n  machine: {{loader: {loader}}}\n"
        generation = generation_with(
            tmp_path / str(number), {"hosts/den.yaml": base("hosts/den.yaml", ("4711\n", more))}
        )
        script = generation.artifact(DB, "grub").text
        assert ("$linux /m/52-54-00-12-34-57/kernel " in script) == near
        assert ("$initrd /m/52-54-00-12-34-57/initrd;" in script) == near
        assert len({tuple(shlex.split(line)[3:]) for line in re.findall(r"if \$linux .*(?=; then)", script)}) == 1


def test_every_way_to_the_disk_can_be_read(fleet: Generation) -> None:
    need("grub-script-check")
    for how in get_args(LocalBoot):
        script = render_local("a-b.example.com", how, fleet.engine, "grub")
        assert subprocess.run(["grub-script-check"], input=script, text=True).returncode == 0
        assert ("chainloader" in script) == (how != "exit"), "a GRUB that ends has succeeded, whatever it says"
        number = 0 if how == "exit" else -1
        assert f"LOCALBOOT {number}\n" in render_local("a-b.example.com", how, fleet.engine, "pxelinux")
    script = render_grub_chain(fleet.engine)
    assert subprocess.run(["grub-script-check"], input=script, text=True).returncode == 0


def test_without_plain_http_ipxe_alone_has_a_script(tmp_path: Path) -> None:
    """GRUB and pxelinux have no TLS; who reads the notes of check is told."""
    url = "  install: {url: https://mirror.example.com/tree}\n"
    generation = generation_with(tmp_path, {"hosts/den.yaml": base("hosts/den.yaml", ("4711\n", f"4711\n{url}"))})
    assert set(generation.artifacts(DB)) == {"bootstrap", "kickstart", "ipxe"}
    (note,) = lint(generation, [DB])
    assert (note.code, note.severity, note.origin.line) == ("BF074", "note", 7)


def test_a_comma_would_part_the_initrds_of_pxelinux(fleet: Generation) -> None:
    plan = next(iter(fleet.plans.values()))
    comma = replace(plan, boot=replace(plan.boot, initrd="http://mirror.example.com/a,b"))
    assert [one.name for one in render_others(comma, Engine({}))] == ["grub"]


@pytest.mark.parametrize("release", RELEASES)
def test_ipxe_alone_brings_a_kickstart_into_the_initramfs(fleet: Generation, tmp_path: Path, release: str) -> None:
    """The arguments name the file and no URL, nothing is said about who asks, and the kickstart says itself where it
    is from. What the installer fetches itself knows nothing of all that."""
    (host,) = (host for host in fleet.hosts.values() if host.release == release)
    name, nics = host.name.text, "device: eth0, mac: '02:00:00:00:00:01', address: 10.2.1.1"
    how = "{url: http://mirror.example.com/tree, kickstart: initrd}"
    text = f"{name}: {{profile: {host.spec.profile}, install: {how}, nics: {{lan: {{{nics}}}}}}}\n"
    files = {"hosts/den.yaml": text, f"profiles/{host.spec.profile}.yaml": f"release: {release}\n"}
    injected = generation_with(tmp_path, {**files, "rules.yaml": ""})
    script = injected.artifacts(name)
    assert set(script) == {"bootstrap", "kickstart", "ipxe"}
    lines = script["ipxe"].text.splitlines()
    url = "http://10.2.0.5/i/h/t/kickstart"
    sealed = seal(script["ipxe"], Grant(name, "t", url, "r"), Vault({})).decode().splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("kernel "))
    assert " initrd=initrd initrd=kickstart " in lines[at] and "grant.url" not in lines[at]
    assert lines[at + 1].startswith("initrd --timeout 20000 --name initrd http://mirror.example.com/tree/images/")
    query = "?mac=${netX/mac:hexhyp}&serial=${serial:uristring}"
    assert sealed[at + 4] == f"initrd --timeout 20000 --name kickstart {url}.cpio{query} || goto failed"
    assert sealed[at + 5] == "boot || goto failed", "the kickstart is the last that is fetched"
    assert sum(line.count("/i/h/t/") for line in sealed) == 1
    words = ipxe_args(script["ipxe"].text)
    assert f"{RELEASES[release].prefix}ks=file:/ks.cfg" in words
    assert not any("send" in word for word in words)
    asked = [use for use in script["kickstart"].slots if use.slot.source == "grant.url"]
    assert len(asked) == script["kickstart"].text.count("\nbf_url() (") == 4
    assert "grant.url" not in fleet.artifact(name, "kickstart").text


@pytest.mark.parametrize("word", ["a b", "it's", 'say="x"', "back\\slash", "tab\tb", "ä", "a\nAPPEND b", ""])
def test_a_word_that_a_loader_would_change_is_refused(fleet: Generation, word: str) -> None:
    plan = next(iter(fleet.plans.values()))
    hostile = replace(plan, boot=replace(plan.boot, args=(BootArg("x", word),)))
    with pytest.raises(RenderError):
        render(hostile, Engine({}))


@pytest.mark.parametrize("word", ["a;reboot", "a&b", "$net_default_mac", "${x}", "{a}", "a|b", "a<b>c", "a#b", "*?[]"])
def test_a_word_of_grub_is_that_word(fleet: Generation, word: str) -> None:
    """What is special in a script of GRUB reaches the kernel as it is."""
    need("grub-script-check")
    plan = next(iter(fleet.plans.values()))
    hostile = replace(plan, boot=replace(plan.boot, args=(BootArg("x", word), BootArg("last"))))
    script = next(iter(render_others(hostile, Engine({})))).text
    assert grub_args(script) == [f"x={word}", "last"]
    assert f"x='{word}' last; then\n" in script
    assert subprocess.run(["grub-script-check"], input=script, text=True).returncode == 0


def test_the_grants_url_is_quoted_for_its_script(fleet: Generation) -> None:
    name = next(iter(fleet.plans))
    url = f"http://10.2.0.5:8080{kickstart_path(name, 'a' * TOKEN)}"
    for kind, quoted in (("grub", f"ks={url}"), ("pxelinux", f"ks={url}"), ("ipxe", f"ks={url}")):
        sealed = seal(fleet.artifact(name, kind), Grant(name, "a" * TOKEN, url, "r"), Vault({}))
        assert f" {quoted} " in sealed.decode()
    odd = Grant(name, "t", "http://10.2.0.5/;reboot", "r")
    assert " ks='http://10.2.0.5/;reboot' " in seal(fleet.artifact(name, "grub"), odd, Vault({})).decode()


# The longest command line


def test_a_token_is_as_long_as_the_measure_takes_it_to_be() -> None:
    assert len(ServerKey(b"x" * 32).token("1")) == TOKEN


@pytest.mark.parametrize("over", [0, 1])
def test_the_line_is_measured_as_a_kernel_gets_it(tmp_path: Path, over: int) -> None:
    """One character more than fits is an error; what fits is as long as pxelinux will make it."""
    text = base("hosts/den.yaml", ("4711\n", '4711\n  install: {args: ["x=%s"]}\n'))
    generation = generation_with(tmp_path / "short", {"hosts/den.yaml": text % "y"})
    plan = generation.plan(DB)
    grant = Grant(DB, "", f"{plan.boot_nic.network.server}{kickstart_path(DB, 'a' * TOKEN)}", "")
    script = seal(generation.artifact(DB, "pxelinux"), grant, Vault({})).decode()
    line = " ".join([f"BOOT_IMAGE={plan.boot.kernel}", f"initrd={plan.boot.initrd}", *pxelinux_args(script)])
    room = LIMIT - 1 - len(line)
    files = {"hosts/den.yaml": text % ("y" * (1 + room + over))}
    if not over:
        assert generation_with(tmp_path / "fits", files).plan(DB)
        return
    with pytest.raises(SiteError) as caught:
        generation_with(tmp_path / "long", files)
    (problem,) = caught.value.problems
    assert problem.code == "BF073" and "1 characters too long" in problem.message and problem.origin.line == 7
