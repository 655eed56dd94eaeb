"""What a machine is: its hardware as a layer and as a class, the release that fits it, and its way to the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.generation import Generation
from bootforge.model import LocalBoot
from bootforge.releases import RELEASES
from bootforge.render import Engine
from bootforge.render.netboot import render_ipxe, render_local
from bootforge.resources import shipped_texts
from tests.sites import APP, DB, WEB, base, generation_with, problems_with

SERIAL = "  serial: 0911QAZ4711\n"
MODELS = sorted(name[9:-5] for name in shipped_texts("profiles") if name.startswith("hardware/"))


def db(lines: str) -> str:
    return base("hosts/den.yaml", (SERIAL, SERIAL + lines))


def of_db(root: Path, lines: str, **files: str) -> Generation:
    more = {f"{name.replace('_', '/')}.yaml": text for name, text in files.items()}
    return generation_with(root, {"hosts/den.yaml": db(lines), **more})


def test_hardware_is_stronger_than_a_layout_and_weaker_than_a_role(tmp_path: Path) -> None:
    own = "timezone: Etc/GMT+1\nlanguage: de_DE\nkeyboard: de\n"
    layout = shipped_texts("profiles")["layouts/lvm.yaml"] + "timezone: Etc/GMT+2\nkeyboard: fr\n"
    role = base("roles/db.yaml") + "language: fr_FR\n"
    host = of_db(tmp_path, "  hardware: own\n", hardware_own=own, layouts_lvm=layout, roles_db=role).host(DB)
    assert (host.spec.timezone, host.spec.language, host.spec.keyboard) == ("Etc/GMT+1", "fr_FR", "de")
    assert [said.layer for said in host.trails[("timezone",)]] == ["defaults", "layout lvm", "hardware own"]
    assert host.trails[("hardware",)][-1].origin.file == "hosts/den.yaml"


def test_a_class_that_assign_may_test(tmp_path: Path) -> None:
    """A dash becomes an underscore; the host's word counts, not the one of the defaults that it supersedes."""
    rules = base("rules.yaml", ("rules:", "  - {when: hw_sun_x4150, profile: centos7}\n\nrules:"))
    site = base("site.yaml", ("  layout: lvm", "  layout: lvm\n  hardware: sun-x4150"))
    generation = of_db(tmp_path, "  hardware: dell-r640\n", rules=rules, site=site)
    assert {name: generation.host(name).release for name in (DB, WEB)} == {DB: "el9", WEB: "el7"}
    assert {"hw_dell_r640", "hw_sun_x4150"} & generation.host(DB).classes == {"hw_dell_r640"}


def test_hardware_can_be_taken_away(tmp_path: Path) -> None:
    site = base("site.yaml", ("  layout: lvm", "  layout: lvm\n  hardware: dell-r640"))
    generation = of_db(tmp_path, "  hardware-:\n", site=site)
    assert (generation.host(DB).spec.hardware, generation.host(WEB).spec.hardware) == (None, "dell-r640")
    assert generation.host(DB).spec.machine.firmware == "any"
    assert not {name for name in generation.host(DB).classes if name.startswith("hw_")}


def test_two_models_of_one_kind_do_not_share_a_merge(tmp_path: Path) -> None:
    lines = {DB: "  hardware: one\n", WEB: "  hardware: two\n"}
    hosts = base("hosts/den.yaml", *((f"{name}:\n", f"{name}:\n{line}") for name, line in lines.items()))
    roles = {"roles/web.yaml": 'nics: {lan: {network: "{site}-lan"}}\n', "roles/db.yaml": base("roles/web.yaml")}
    models = {f"hardware/{name}.yaml": f"keyboard: {name}\n" for name in ("one", "two")}
    generation = generation_with(tmp_path, {"hosts/den.yaml": hosts, **roles, **models})
    assert {name: generation.host(name).spec.keyboard for name in (DB, WEB)} == {DB: "one", WEB: "two"}


def test_a_site_overrides_shipped_hardware_by_name(tmp_path: Path) -> None:
    own = "machine: {x86_level: 2}\n"
    files = {"hosts/den.yaml": db("  hardware: sun-x4150\n"), "hardware/sun-x4150.yaml": own}
    assert generation_with(tmp_path, files).host(DB).spec.machine.x86_level == 2


@pytest.mark.parametrize("model", MODELS)
def test_shipped_hardware_says_what_the_machine_is_and_why(tmp_path: Path, model: str) -> None:
    host = of_db(tmp_path, f"  hardware: {model}\n  profile: centos7\n").host(DB)
    assert host.spec.machine.firmware in ("bios", "uefi")
    assert host.spec.machine.secure_boot == ("false" if host.spec.machine.firmware == "bios" else "unknown")
    assert shipped_texts("profiles")[f"hardware/{model}.yaml"].startswith("# ")


# What a release needs


def test_each_release_on_each_firmware(tmp_path: Path) -> None:
    """Every release of a shipped profile is refused exactly where its row says that it cannot run."""
    for profile in ("centos5", "centos6", "centos7", "rocky8", "rocky9", "rocky10"):
        release = RELEASES["el" + profile.lstrip("centosrky")]
        for machine, refused in (
            ("{firmware: uefi}", not release.uefi),
            ("{firmware: bios}", False),
            ("{secure_boot: true}", not release.secure_boot),
            ("{secure_boot: unknown, firmware: any}", False),
            ("{x86_level: 1}", release.x86_level > 1),
            ("{x86_level: 3}", False),
            ("{memory: 1069MiB}", release.memory > 1069),
            ("{memory: 1070MiB}", False),
        ):
            lines = f"  profile: {profile}\n  machine: {machine}\n"
            hosts = db(lines).replace("address: 10.2.0.31", "address: 10.2.0.31, device: eth0")
            files = {"hosts/den.yaml": hosts}
            if refused:
                assert [one.code for one in problems_with(tmp_path, files)] == ["BF033"], (profile, machine)
            else:
                generation_with(tmp_path, files)


def test_a_profile_may_be_built_for_older_processors(tmp_path: Path) -> None:
    profile = "release: el10\nx86_level: 2\ninstall: {url: http://mirror.example.com/x}\n"
    lines = "  profile: own\n  machine: {x86_level: 2}\n"
    assert of_db(tmp_path, lines, profiles_own=profile).host(DB).release == "el10"
    files = {"hosts/den.yaml": db(lines.replace("x86_level: 2", "x86_level: 1")), "profiles/own.yaml": profile}
    (problem,) = problems_with(tmp_path, files)
    assert "profile own needs a processor of x86-64-v2" in problem.message


def test_the_firmware_of_a_guest(tmp_path: Path) -> None:
    hosts = base("hosts/den.yaml", (f"{APP}:\n", f"{APP}:\n  machine: {{firmware: uefi}}\n"))
    text = generation_with(tmp_path, {"hosts/den.yaml": hosts}).artifact(APP, "xl").text
    assert '\ntype = "hvm"\nfirmware = "uefi"\n' in text
    assert "firmware" not in generation_with(tmp_path / "2", {}).artifact(APP, "xl").text


# The local disk

ENDS = {
    "exit-1": "exit 1\n",
    "exit": "exit\n",
    "sanboot": "sanboot --no-describe --drive 0x80 ||\nexit 1\n",
}


@pytest.mark.parametrize("how,end", ENDS.items())
def test_how_a_script_boots_the_local_disk(how: LocalBoot, end: str) -> None:
    head, _, rest = render_local("db01", how, Engine({})).partition("next boot device.\n")
    assert head.startswith("#!ipxe\necho Bootforge: db01 is not armed")
    assert rest == end


@pytest.mark.parametrize("how,end", ENDS.items())
def test_an_installer_that_cannot_be_had_gives_way_to_the_disk_in_the_same_way(
    tmp_path: Path, how: str, end: str
) -> None:
    plan = of_db(tmp_path, f"  machine: {{local_boot: {how}}}\n").plan(DB)
    assert render_ipxe(plan, Engine({})).text.endswith(f"prompt Press a key to boot the local disk\n{end}")
