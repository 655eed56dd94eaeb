"""Every release that Bootforge knows, through the one template: its dialect, its boot arguments, its parser."""

from __future__ import annotations

import re
import shutil
from itertools import product
from pathlib import Path

import pytest

from bootforge.generation import Generation, build_generation
from bootforge.lint import lint
from bootforge.releases import RELEASES
from bootforge.resources import shipped_texts
from tests.support import ROOT, SMALL

PROFILES = sorted(name[3:-5] for name in shipped_texts("profiles") if name.startswith("os/"))
HOST = "web{:03d}.prod.den.example.com"

VARIANTS = {
    "address": ("{address: 10.2.1.%d}", "{}"),
    "password": ("", "root_password-:\n"),
    "keys": ("", "authorized_keys-: [root]\n"),
    "second nic": ("", "nics: {san: {network: den-lan, boot: false, device: eth1, mac: '02:00:00:01:00:%02x'}}\n"),
    "layout": ("", "filesystems: {data: {mount: /data, size: 1GiB}}\ndisks: {second: {path: /dev/sdb}}\n"),
}


def host_text(number: int, profile: str, variant: tuple[str, ...]) -> str:
    """One host of the matrix: a profile, and a choice for each kind of variant."""
    address, *others = variant
    lines = f"profile: {profile}\ninstall: {{url: http://mirror.example.com/tree}}\n"
    lan = f"device: eth0, mac: '02:00:00:00:{number >> 8:02x}:{number & 255:02x}'"
    given = re.sub(r"[{}]", "", address.replace("10.2.1.%d", f"10.2.{number >> 8}.{number & 255 or 254}"))
    lan += f", {given}" if given else ""
    for other in others:
        lines += other % (number & 255) if "%" in other else other
    if "nics:" in lines:
        lines = lines.replace("nics: {", f"nics: {{lan: {{{lan}, boot: true}}, ").replace(
            "01:00:", f"01:{number >> 8:02x}:"
        )
    else:
        lines += f"nics: {{lan: {{{lan}}}}}\n"
    return f"{HOST.format(number)}:\n" + "".join(f"  {line}\n" for line in lines.splitlines())


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    site = tmp_path_factory.mktemp("matrix") / "site"
    shutil.copytree(SMALL, site)
    combinations = enumerate(product(PROFILES, *VARIANTS.values()), 300)
    text = "".join(host_text(number, profile, variant) for number, (profile, *variant) in combinations)  # type: ignore[arg-type]
    (site / "hosts/den.yaml").write_text(text)
    return build_generation(site)


def test_every_combination_passes_its_own_parser_and_our_rules(matrix: Generation) -> None:
    assert len(matrix.plans) >= 300
    problems = [problem for problem in lint(matrix, matrix.plans, exhaustive=True) if problem.severity == "error"]
    assert problems == []
    assert {plan.release for plan in matrix.plans.values()} == set(RELEASES)


def plan_of(matrix: Generation, profile: str) -> str:
    return next(name for name, host in matrix.hosts.items() if host.spec.profile == profile)


DRACUT = "inst.ks=@grant.url@ inst.ks.sendmac inst.ks.sendsn inst.repo=TREE ip=dhcp BOOTIF=MAC WAIT inst.nosave=all_ks"


@pytest.mark.parametrize(
    "profile,arguments",
    [
        ("centos5", "ks=@grant.url@ kssendmac method=TREE ip=dhcp ksdevice=bootif BOOTIF=MAC"),
        ("centos6", "ks=@grant.url@ kssendmac kssendsn repo=TREE ip=dhcp ksdevice=bootif BOOTIF=MAC"),
        ("centos7", DRACUT),
        ("rocky8", DRACUT),
        ("fedora46", DRACUT),
    ],
)
def test_boot_arguments_are_those_that_the_release_reads(matrix: Generation, profile: str, arguments: str) -> None:
    name = plan_of(matrix, profile)
    mac = "01-" + matrix.plan(name).boot_nic.mac.dashed
    expected = arguments.replace("TREE", "http://mirror.example.com/tree").replace("MAC", mac)
    expected = expected.replace("WAIT", "rd.net.timeout.carrier=60 rd.net.timeout.dhcp=60 inst.waitfornet=60")
    (line,) = [line for line in matrix.artifact(name, "ipxe").text.splitlines() if line.startswith("kernel ")]
    assert line.partition(" initrd=initrd ")[2] == f"{expected} || goto failed"


def test_the_dialects_differ_where_the_releases_do(matrix: Generation) -> None:
    texts = {p: matrix.artifact(plan_of(matrix, p), "kickstart").text for p in PROFILES}
    assert "%end" not in texts["centos5"] and texts["centos6"].count("\n%end") == 5
    assert [p for p in PROFILES if "\n%traceback " in texts[p]] == ["centos5", "centos6"]
    assert [p for p in PROFILES if "\n%onerror " not in texts[p]] == ["centos5", "centos6"]
    assert [p for p in PROFILES if "NOSAVE_INPUT_KS" in texts[p]] == [p for p in PROFILES if p[-1] in "789"]
    assert [p for p in PROFILES if "\ninstall\n" in texts[p]] == ["centos5", "centos6", "centos7"]
    assert [p for p in PROFILES if "--ntpservers=" in texts[p]] == ["alma8", "centos7", "rhel8", "rocky8"]
    assert "--device=eth0" in texts["centos5"] and "--device=02:00:" in texts["centos6"]
    assert [p for p in PROFILES if "\nsshkey " not in texts[p]] == ["centos5", "centos6", "centos7"]
    assert not any("authorized_keys" in text for text in texts.values()), "the bootstrap writes keys, and no script"


def test_there_is_one_kickstart_template() -> None:
    found = [path for path in (ROOT / "templates").rglob("*") if "kickstart" in path.name.lower()]
    assert found == [ROOT / "templates/kickstart.cfg.j2"]


def test_every_release_has_a_profile_and_an_end_of_life() -> None:
    assert {*RELEASES} == {re.search(r"^release: (\S+)$", text, re.M)[1] for text in _profiles()}  # type: ignore[index]
    for release in RELEASES.values():
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", release.end_of_life)


def _profiles() -> list[str]:
    return [text for name, text in shipped_texts("profiles").items() if name.startswith("os/")]


def test_el5_needs_the_kernels_name_of_a_nic_and_http(tmp_path: Path) -> None:
    from bootforge.errors import SiteError

    site = tmp_path / "site"
    shutil.copytree(SMALL, site)
    (site / "hosts/den.yaml").write_text(
        "web01.prod.den.example.com:\n  profile: centos5\n  install: {url: https://m.example.com/x}\n"
        "  nics: {lan: {mac: '02:00:00:00:00:01'}}\n  packages: ['@^minimal']\n"
    )
    with pytest.raises(SiteError) as caught:
        build_generation(site)
    found = {(problem.code, problem.origin.line) for problem in caught.value.problems}
    assert found == {("BF040", 4), ("BF043", 3), ("BF047", 5)}
