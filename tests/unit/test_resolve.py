"""From a site and a name to one host: who decides what, what rules may test, whose word is last."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.classes import possible_classes
from bootforge.errors import NotFound, SiteError, UsageError
from bootforge.generation import build_generation
from bootforge.resolve import ResolvedHost, Resolver
from bootforge.site.load import load_site
from tests.sites import APP, DB, WEB, base, generation_with, problems_with, site_with
from tests.support import write_site


def resolved(root: Path, files: dict[str, str], name: str = DB) -> ResolvedHost:
    return Resolver(load_site(site_with(root, files))).resolve(name)


DB_LINE = "  serial: 0911QAZ4711\n"


def db(lines: str) -> dict[str, str]:
    """The base with other lines at db01."""
    return {"hosts/den.yaml": base("hosts/den.yaml", (DB_LINE, lines))}


LAYERS = [
    ("defaults", {"site.yaml": base("site.yaml", ("Europe/Berlin", "Etc/GMT+1"))}),
    ("profile", {"profiles/rocky9.yaml": "release: el9\ninstall: {url: http://m/os}\ntimezone: Etc/GMT+2\n"}),
    ("layout", {"layouts/lvm.yaml": base("../../../profiles/layouts/lvm.yaml") + "timezone: Etc/GMT+3\n"}),
    ("role", {"roles/db.yaml": base("roles/db.yaml") + "timezone: Etc/GMT+4\n"}),
    ("rule", {"rules.yaml": base("rules.yaml") + "  - when: role_db\n    timezone: Etc/GMT+5\n"}),
    ("host", db("  timezone: Etc/GMT+6\n")),
]


@pytest.mark.parametrize("strongest", range(len(LAYERS)), ids=[name for name, _ in LAYERS])
def test_the_stronger_layer_wins(tmp_path: Path, strongest: int) -> None:
    """Every layer up to one says something; that one's word holds, and the trail lists all, weakest first."""
    files: dict[str, str] = {}
    for _, one in LAYERS[: strongest + 1]:
        files.update(one)
    host = resolved(tmp_path, files)
    assert host.spec.timezone == f"Etc/GMT+{strongest + 1}"
    trail = host.trails[("timezone",)]
    assert [said.value for said in trail] == [f"Etc/GMT+{n + 1}" for n in range(strongest + 1)]
    words = ["defaults", "profile rocky9", "layout lvm", "role db", "rule 3", f"host {DB}"]
    assert [said.layer for said in trail] == words[: strongest + 1]


ASSIGN = "assign:\n  - when: role_db\n    profile: alma9\nrules: []\n"


@pytest.mark.parametrize(
    "files,profile",
    [
        ({}, "rocky9"),
        ({"rules.yaml": ASSIGN}, "alma9"),
        ({"rules.yaml": ASSIGN, **db("  profile: rocky9\n")}, "rocky9"),
    ],
)
def test_defaults_then_assign_then_the_host_decide_what_it_is(
    tmp_path: Path, files: dict[str, str], profile: str
) -> None:
    host = resolved(tmp_path, files)
    assert (host.spec.profile, host.merged.values[("profile",)].value) == (profile, profile)


@pytest.mark.parametrize(
    "name,facts,classes",
    [
        (
            WEB,
            {"role": "web", "n": "01", "env": "prod", "site": "den"},
            {"role_web", "env_prod", "domain_prod_den_example_com", "virt_metal"},
        ),
        (
            APP,
            {"role": "app", "n": "01", "env": "qa", "site": "den"},
            {"role_app", "env_qa", "domain_qa_den_example_com", "virt_xen"},
        ),
    ],
)
def test_the_table_of_classes(tmp_path: Path, name: str, facts: dict[str, str], classes: set[str]) -> None:
    host = resolved(tmp_path, {}, name)
    assert host.facts == facts
    everywhere = {"site_den", "domain_den_example_com", "domain_example_com", "net_den_lan", "el9", "x86_64"}
    assert host.classes == classes | everywhere


def test_a_class_comes_from_roles_classes_and_open_facts_too(tmp_path: Path) -> None:
    files = {
        "site.yaml": base("site.yaml", ("names:\n", 'names:\n  - "{role}{n:int}-{rack}.{env}.{site}.example.com"\n')),
        "hosts/more.yaml": "db02-r7.prod.den.example.com:\n"
        "  roles: [web]\n  classes: [old-bios]\n  serial: S2\n"
        "  nics: {lan: {mac: 52:54:00:00:00:02, address: 10.2.0.99}}\n",
        "rules.yaml": base("rules.yaml") + "  - when: rack_r7 & old_bios & role_web & role_db\n    packages: [found]\n",
    }
    host = resolved(tmp_path, files, "db02-r7.prod.den.example.com")
    assert {"rack_r7", "old_bios", "role_db", "role_web"} <= host.classes
    assert host.spec.roles == ("db", "web")
    assert {"found", "httpd", "mariadb-server"} <= set(host.spec.packages)


@pytest.mark.parametrize(
    "when,applies",
    [
        ("role_db", True),
        ("role_web", False),
        ("env_prod & site_den", True),
        ("env_qa", False),
        ("virt_metal", True),
        ("virt_xen | el9", True),
        ("x86_64 & !role_app", True),
    ],
)
def test_a_rule_may_test_every_class(tmp_path: Path, when: str, applies: bool) -> None:
    files = {"rules.yaml": base("rules.yaml") + f"  - when: {when}\n    packages: [found]\n"}
    assert ("found" in resolved(tmp_path, files).spec.packages) is applies


def test_a_number_of_a_name_gives_no_class(tmp_path: Path) -> None:
    assert not [word for word in resolved(tmp_path, {}).classes if word.startswith("n_")]


@pytest.mark.parametrize(
    "text,value",
    [
        ("http://m/{release}/{arch}/os", "http://m/el9/x86_64/os"),
        ("http://{site}.m/{env}/{role}/{n}", "http://den.m/prod/db/01"),
        ("http://m/{{site}}", None),
        ("http://m/{nosuch}", None),
    ],
)
def test_facts_are_put_where_the_schema_takes_them(tmp_path: Path, text: str, value: str | None) -> None:
    files = db(f'  install: {{url: "{text}", args: ["a={{site}}", b]}}\n')
    if value is None:
        with pytest.raises(SiteError):
            resolved(tmp_path, files)
    else:
        spec = resolved(tmp_path, files).spec
        assert (spec.install.url, spec.install.args) == (value, ("a=den", "b"))


def test_a_fact_is_no_text_elsewhere(tmp_path: Path) -> None:
    """``{site}`` in a value that takes no facts is what was written: here, refused as a serial is not, kept."""
    assert resolved(tmp_path, db('  serial: "{site}"\n')).spec.serial == "{site}"


def test_the_first_pattern_that_fits_states_the_facts(tmp_path: Path) -> None:
    files = {
        "site.yaml": base("site.yaml", ("names:\n", 'names:\n  - "db{n:int}.{env}.{site}.example.com = role:web"\n')),
        "hosts/den.yaml": base("hosts/den.yaml", (DB_LINE, "")),
    }
    assert resolved(tmp_path, files).spec.roles == ("web",)


def test_without_patterns_any_name_goes_and_states_nothing(tmp_path: Path) -> None:
    files = {
        "site.yaml": base("site.yaml", ('names:\n  - "{role}{n:int}.{env}.{site}.example.com"\n', "")),
        "rules.yaml": "",
        "hosts/den.yaml": "box.example.org:\n  roles: [db]\n"
        "  nics: {lan: {network: den-lan, mac: 52:54:00:00:00:02}}\n",
    }
    files["roles/db.yaml"] = "packages: [mariadb-server]\n"
    host = resolved(tmp_path, files, "box.example.org")
    assert (host.facts, host.spec.roles) == ({}, ("db",))
    assert host.classes == {"role_db", "virt_metal", "el9", "x86_64", "domain_example_org", "net_den_lan"}


def test_a_host_that_does_not_exist(tmp_path: Path) -> None:
    resolver = Resolver(load_site(site_with(tmp_path)))
    with pytest.raises(NotFound) as caught:
        resolver.resolve("db02.prod.den.example.com")
    assert f"did you mean '{DB}'?" in str(caught.value)


def test_hosts_of_one_kind_share_one_merge(tmp_path: Path) -> None:
    """The cost of 10,000 hosts is that of their differences."""
    lines = [f"db{n:03}.prod.den.example.com: {{nics: {{lan: {{mac: 52:54:00:00:01:{n:02x}}}}}}}" for n in range(200)]
    resolver = Resolver(load_site(site_with(tmp_path, {"hosts/many.yaml": "\n".join(lines)})))
    for n in range(200):
        resolver.resolve(f"db{n:03}.prod.den.example.com")
    assert len(resolver.shared) == 1


def test_the_classes_that_could_exist(tmp_path: Path) -> None:
    site = load_site(site_with(tmp_path, db("  classes: [guest]\n")))
    known = possible_classes(site)
    assert {"role_db", "role_web", "role_app", "env_prod", "env_qa", "site_den"} <= known
    assert {"virt_metal", "virt_xen", "el9", "x86_64", "guest"} <= known
    assert "env_dev" not in known and "role_bd" not in known


# Loading


def test_a_site_overrides_a_shipped_profile_and_layout_by_name(tmp_path: Path) -> None:
    files = {
        "profiles/rocky9.yaml": "release: el9\ninstall: {url: http://mirror/os}\n",
        "layouts/lvm.yaml": "disks: {a: {path: /dev/vda}}\nfilesystems: {root: {mount: /, size: 4GiB}}\n",
    }
    spec = resolved(tmp_path, files).spec
    assert (spec.install.url, spec.packages) == ("http://mirror/os", ("mariadb-server",))
    assert {name: disk.path for name, disk in spec.disks.items()} == {"a": "/dev/vda"}


def test_hidden_files_are_not_read(tmp_path: Path) -> None:
    files = {".git/config.yaml": "x", "roles/.web.yaml.swp": "x", ".site.yaml": "[", "hosts/.x/y.yaml": "["}
    assert set(load_site(site_with(tmp_path, files)).files) == set(load_site(site_with(tmp_path / "b")).files)


@pytest.mark.parametrize("name", [b"\xff.yaml", b"a\nb.yaml", b"\x1b[31m.yaml"])
def test_a_file_whose_name_cannot_be_printed_is_refused_by_a_name_that_can(tmp_path: Path, name: bytes) -> None:
    site = site_with(tmp_path)
    (Path(bytes(site / "roles").decode()) / name.decode("utf-8", "surrogateescape")).write_text("")
    with pytest.raises(SiteError) as caught:
        load_site(site)
    (problem,) = caught.value.problems
    assert problem.code == "BF003" and problem.line().isprintable()


def test_a_file_that_is_too_large_or_no_file(tmp_path: Path) -> None:
    import os

    site = site_with(tmp_path)
    with (site / "files.bin").open("wb") as file:
        file.truncate(4 * 1024 * 1024 + 1)
    os.mkfifo(site / "pipe")
    with pytest.raises(SiteError) as caught:
        load_site(site)
    assert [(one.origin.file, one.code) for one in caught.value.problems] == [("files.bin", "BF003"), ("pipe", "BF003")]


def test_a_link_inside_the_site_is_followed(tmp_path: Path) -> None:
    site = site_with(tmp_path)
    (site / "roles" / "mail.yaml").symlink_to("db.yaml")
    assert load_site(site).files["roles/mail.yaml"] == (site / "roles" / "db.yaml").read_bytes()


def test_a_directory_without_site_yaml_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a site: it has no site.yaml"):
        build_generation(tmp_path)


def test_the_revision_follows_every_byte_and_every_name(tmp_path: Path) -> None:
    """Outside git: the digest changes with content, name, addition, and not with time or order."""
    sites = [
        site_with(tmp_path / "a"),
        site_with(tmp_path / "b", {"files/x": "1"}),
        site_with(tmp_path / "c", {"files/x": "2"}),
        site_with(tmp_path / "d", {"files/y": "1"}),
    ]
    revisions = [load_site(site).revision for site in sites]
    assert len(set(revisions)) == 4
    assert all(revision.startswith("tree-") for revision in revisions)
    (sites[0] / "site.yaml").touch()
    assert load_site(sites[0]).revision == revisions[0]


def test_no_hosts_is_no_fault(tmp_path: Path) -> None:
    write_site(tmp_path, {"site.yaml": "schema: 1\n"})
    assert build_generation(tmp_path).plans == {}


# What is told when several things are wrong


def test_one_problem_for_a_fault_that_many_hosts_share(tmp_path: Path) -> None:
    (problem,) = problems_with(tmp_path, {"site.yaml": base("site.yaml", ("profile: rocky9", "profile: rocky7"))})
    assert "(and 2 hosts like it)" in problem.message and problem.host == APP
    files = {"rules.yaml": base("rules.yaml") + "  - when: env_prod\n    disks-: [system]\n"}
    (problem,) = problems_with(tmp_path / "two", files)
    assert "(and 1 host like it)" in problem.message and problem.host == DB


def test_all_problems_of_a_site_in_one_run(tmp_path: Path) -> None:
    files = {
        "roles/db.yaml": base("roles/db.yaml", ("packages:", "package:")),
        "rules.yaml": base("rules.yaml", ("env_qa", "env_qua")),
        "hosts/den.yaml": base("hosts/den.yaml", ("address: 10.2.0.21", "address: 10.9.0.21"), ("58", "5x")),
        "hosts/more.yaml": "bd01.prod.den.example.com: {}\n",
        "rule.yaml": "",
        "templates/kickstart.cfg.j2": "{{ host }}\n",
    }
    found = [(problem.origin.file, problem.code) for problem in problems_with(tmp_path, files)]
    assert found == [
        ("hosts/den.yaml", "BF041"),
        ("hosts/den.yaml", "BF010"),
        ("roles/db.yaml", "BF012"),
        ("rule.yaml", "BF004"),
        ("rules.yaml", "BF018"),
        ("templates/kickstart.cfg.j2", "BF007"),
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"roles/db.yaml": base("roles/db.yaml", ("network:", "netwrok:"))},
        {"roles/db.yaml": base("roles/db.yaml", ("nics:", "nics: ["))},
        {"roles/db.yaml": "nics: 7\n"},
        {"site.yaml": base("site.yaml", ("layout: lvm", "layuot: lvm"))},
        {"site.yaml": base("site.yaml", ("subnet: 10.2.0.0/20", "subnet: 10.2.0.1/20"))},
        {"site.yaml": base("site.yaml", ("networks:", "networks: ["))},
        {"layouts/lvm.yaml": "disks: {system: {paht: /dev/sda}}\n"},
        {"profiles/rocky9.yaml": "release: el9\ninstall: {ulr: http://m/os}\n"},
        {"profiles/rocky9.yaml": "relaese: el9\n"},
        {"profiles/rocky9.yaml": "release: [\n"},
    ],
)
def test_what_only_follows_from_a_fault_is_not_told(tmp_path: Path, files: dict[str, str]) -> None:
    """One fault, one file: nothing about the hosts that lack what it would have said."""
    assert {problem.origin.file for problem in problems_with(tmp_path, files)} == set(files)


def test_what_does_not_follow_is_told_though_another_file_is_faulty(tmp_path: Path) -> None:
    """A fault in one role silences nothing about hosts that do not have it."""
    files = {
        "roles/db.yaml": base("roles/db.yaml", ("network:", "netwrok:")),
        "hosts/den.yaml": base("hosts/den.yaml", ("mac: 52:54:00:12:34:56, ", "")),
    }
    assert [problem.code for problem in problems_with(tmp_path, files)] == ["BF040", "BF012"]


def test_a_generation_knows_its_hosts_by_mac(tmp_path: Path) -> None:
    generation = generation_with(tmp_path)
    assert generation.by_mac["52:54:00:12:34:57"] == DB
    assert set(generation.plans) == set(generation.hosts) == {WEB, DB, APP}
    for call in (generation.host, generation.plan, generation.artifacts):
        with pytest.raises(NotFound):
            call("db02.prod.den.example.com")
    with pytest.raises(NotFound, match="did you mean 'kickstart'"):
        generation.artifact(DB, "kickstrat")
    with pytest.raises(NotFound):
        generation.artifact(DB, "xl")  # a guest's alone
