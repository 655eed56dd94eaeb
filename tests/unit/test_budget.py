"""The connection budget on the command line: what counts, what is refused, what would be, who may have what."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootforge.generation import Generation
from bootforge.lint.budget import budget_of
from bootforge.plan.initiators import permissions
from tests.sites import san_with, site_with
from tests.support import EXAMPLE, ROOT, SMALL, Done, verb, write_site


def budget(site: Path, *args: str) -> Done:
    return verb("budget", "--site", site, *args)


def example(root: Path, *changes: tuple[str, str, str]) -> Path:
    """The example site with texts of its files replaced."""
    site = site_with(root, base=EXAMPLE)
    for file, old, new in changes:
        text = (site / file).read_text()
        assert text.count(old) == 1, f"{old!r} is not once in {file}"
        write_site(site, {file: text.replace(old, new)})
    return site


MORE_FOR_DB = (
    ("roles/db.yaml", "volumes:\n", 'volumes:\n  logs: {array: "{site}-array"}\n'),
    (
        "hosts/ams.yaml",
        'volumes: {mysql: {wwid: "36000d31000a1b2c3000000000000001[1-3]"}}',
        'volumes: {mysql: {wwid: "36000d31000a1b2c3000000000000001[1-3]"}, '
        'logs: {wwid: "36000d31000a1b2c3000000000000002[1-3]"}}',
    ),
    (
        "hosts/den.yaml",
        'volumes: {mysql: {wwid: "36090a01820494c58000000000000001[1-2]"}}',
        'volumes: {mysql: {wwid: "36090a01820494c58000000000000001[1-2]"}, '
        'logs: {wwid: "36090a01820494c58000000000000002[1-2]"}}',
    ),
)
MORE_FOR_DOM0 = (
    ("roles/dom0.yaml", "packages: [xen]\n", 'packages: [xen]\nvolumes: {images: {array: "{site}-array"}}\n'),
    (
        "hosts/ams.yaml",
        'wwid: "36000d31000a1b2c3000000000000000[1-4]", vg: vg_guests}\n',
        'wwid: "36000d31000a1b2c3000000000000000[1-4]", vg: vg_guests}\n'
        '    images: {wwid: "36000d31000a1b2c3000000000000002[1-4]"}\n',
    ),
    (
        "hosts/den.yaml",
        'wwid: "36090a01820494c58000000000000000[1-4]", vg: vg_guests}\n',
        'wwid: "36090a01820494c58000000000000000[1-4]", vg: vg_guests}\n'
        '    images: {wwid: "36090a01820494c58000000000000002[1-4]"}\n',
    ),
)
FIVE_DATABASES = tuple(
    ("hosts/ams.yaml", old, new)
    for old, new in (
        ("db[01-03].prod", "db[01-05].prod"),
        ('40:00:[01-03]", address: "10.66.3.[1-3]', '40:00:[01-05]", address: "10.66.3.[1-5]'),
        ("4b:40:01:[01-03]", "4b:40:01:[01-05]"),
        ('"10.67.0.[31-33]', '"10.67.0.[31-35]'),
        ("4b:40:02:[01-03]", "4b:40:02:[01-05]"),
        ('"10.68.0.[31-33]', '"10.68.0.[31-35]'),
        ('40:0f:[01-03]", address: "10.69.0.[41-43]', '40:0f:[01-05]", address: "10.69.0.[41-45]'),
        ("3000000000000001[1-3]", "3000000000000001[1-5]"),
    )
)
DB = "db01.prod.ams.example.com"
LINE = (EXAMPLE / "hosts/ams.yaml").read_text().splitlines().index("db[01-03].prod.ams.example.com:") + 1


# What is refused


@pytest.mark.parametrize(
    "changes,sessions,heaviest,role",
    [
        (
            MORE_FOR_DB,
            42,
            f"heaviest {DB} with 8 (at hosts/ams.yaml:{LINE}:1) and 2 hosts like it",
            "role db 24 by 3 hosts",
        ),
        (MORE_FOR_DOM0, 46, "heaviest xen01.ams.example.com with 8", "role dom0 32 by 4 hosts"),
    ],
)
def test_the_example_has_no_room_for_a_volume_more(
    tmp_path: Path, changes: Any, sessions: int, heaviest: str, role: str
) -> None:
    """One volume more of a role is refused by 'check' and by 'budget', in the same words."""
    assert (budget(EXAMPLE).status, budget(EXAMPLE).err) == (0, "")
    site = example(tmp_path, *changes)
    told = [verb("check", "--no-cache", "--site", site), budget(site)]
    for done in told:
        assert done.status == 2
        (line,) = [line for line in done.err.splitlines() if "error[" in line]
        assert line.startswith("arrays.yaml:17:22: error[BF195]: pool fast of ams-array bears 40 sessions")
        assert f"would have {sessions} ({sessions * 100 // 40} %), 2 of them reserved" in line
        assert heaviest in line and role in line and re.search(r"mysql at roles/db.yaml:\d+:\d+", line)
    assert told[0].out == "" and "ams-array" in told[1].out


def test_a_part_of_a_site_is_not_held_to_the_budget(tmp_path: Path) -> None:
    site = example(tmp_path, *MORE_FOR_DB)
    assert verb("check", "--no-cache", "--site", site, DB).status == 0


def test_a_site_over_its_budget_is_a_site(tmp_path: Path) -> None:
    """Its hosts are served; and 'budget --what-if' can say what would help."""
    site = example(tmp_path, *MORE_FOR_DB)
    assert verb("hosts", "--site", site).status == 0
    assert budget(site, "--what-if", "db-=1").status == 0
    assert budget(site, "--what-if", "db+=1").status == 2


# What counts


def lines_of(generation: Generation) -> dict[tuple[str, str | None], int]:
    return {(line.array, line.pool): line.sessions for line in budget_of(generation)}


def test_ways_are_ifaces_and_portals(tmp_path: Path) -> None:
    """Two nics at one address; one nic; two nics at two portals each."""
    counted = lines_of(san_with(tmp_path))
    assert counted == {
        ("eql-den", None): 3,
        ("eql-den", "default"): 3,
        ("two-den", None): 8,
        ("two-den", "fast"): 4,
        ("two-den", "slow"): 4,
    }


def test_volumes_of_one_target_have_its_sessions_in_common(tmp_path: Path) -> None:
    target = "target: iqn.2002-03.com.compellent:5000d31000a1b2c4"
    both = san_with(tmp_path, ("fs: ext4, mount: /srv/logs, size: 2TiB", target + ", lun: 2"))
    counted = lines_of(both)
    assert (counted["two-den", None], counted["two-den", "fast"], counted["two-den", "slow"]) == (4, 4, 4)


def test_without_multipath_there_is_one_way(tmp_path: Path) -> None:
    single = san_with(
        tmp_path,
        ("address: 10.9.0.52, iscsi: true", "address: 10.9.0.52"),
        ("  chap: {user: db02", "  path_policy: single\n  chap: {user: db02"),
    )
    assert lines_of(single)["eql-den", "default"] == 2


SHARED = (
    (
        "wwid: 36090a01820494c580000000000000001, vg: vg_data, lv: orders, mount: /srv/orders",
        "wwid: 36090a01820494c580000000000000002, shared_by: [xen01.den.example.com]",
    ),
    (
        "wwid: 36090a01820494c580000000000000002, vg: vg_guests",
        "wwid: 36090a01820494c580000000000000002, shared_by: [db02.prod.den.example.com]",
    ),
)


def test_a_shared_volume_counts_for_each_and_is_listed_once(tmp_path: Path) -> None:
    generation = san_with(tmp_path, *SHARED)
    assert lines_of(generation)["eql-den", "default"] == 3
    (shared,) = [one for one in permissions(generation.plans.values()) if one.array == "eql-den"]
    assert [(user.host, user.volume) for user in shared.initiators] == [
        ("db02.prod.den.example.com", "data"),
        ("xen01.den.example.com", "guests"),
    ]


@pytest.mark.parametrize("state,counted", [("planned", 3), ("held", 3), ("active", 3), ("retired", 1)])
def test_only_what_is_gone_does_not_count(tmp_path: Path, state: str, counted: int) -> None:
    generation = san_with(tmp_path, ("db02.prod.den.example.com:\n", f"db02.prod.den.example.com:\n  state: {state}\n"))
    assert lines_of(generation)["eql-den", None] == counted
    listed = {user.host for one in permissions(generation.plans.values()) for user in one.initiators}
    assert ("db02.prod.den.example.com" in listed) == (state != "retired")


# What would be


def test_what_if_is_what_adding_does(tmp_path: Path) -> None:
    """Two databases more of Amsterdam, asked for and written down."""
    (row,) = [one for one in budget(EXAMPLE, "--what-if", "db+=2", "--json").json if one["pool"] == "fast"]
    real = budget(example(tmp_path, *FIVE_DATABASES), "--json")
    (more,) = [one for one in real.json if one["pool"] == "fast"]
    assert row["what_if"] == {
        "changes": {"db": 2},
        "sessions": more["sessions"],
        "percent": more["percent"],
        "fits": True,
        "most": {"db": 2},
    }
    assert "warning[BF196]" in real.err and real.status == 0


@pytest.mark.parametrize(
    "changes,status,fast",
    [
        (["db+=2"], 0, ["36", "2", "40", "95%", "75%", "yes", "db+=2"]),
        (["db+=3"], 2, ["40", "2", "40", "105%", "75%", "no", "db+=2"]),
        (["db+=3", "dom0-=1"], 0, ["36", "2", "40", "95%", "75%", "yes", "db+=3"]),
        (["db+=5", "db-=3"], 0, ["36", "2", "40", "95%", "75%", "yes", "db+=2"]),
        ([f"{DB}+=2"], 0, ["36", "2", "40", "95%", "75%", "yes", f"{DB}+=2"]),
        (["dom0-=99"], 0, ["12", "2", "40", "35%", "75%", "yes", "-"]),
    ],
)
def test_the_table_of_what_would_be(changes: list[str], status: int, fast: list[str]) -> None:
    done = budget(EXAMPLE, *(word for change in changes for word in ("--what-if", change)))
    (row,) = [line for line in done.out.splitlines() if line.startswith("ams-array   fast")]
    assert (done.status, re.split(r"  +", row.strip())[2:]) == (status, fast)


@pytest.mark.parametrize(
    "change,status,words",
    [
        ("db=2", 2, "write ROLE+=N or ROLE-=N"),
        ("db+=0", 2, "write ROLE+=N or ROLE-=N"),
        ("db+=-2", 2, "write ROLE+=N or ROLE-=N"),
        ("+=2", 2, "write ROLE+=N or ROLE-=N"),
        ("db+=1000000", 2, "write ROLE+=N or ROLE-=N"),
        ("bd+=2", 3, "no role or host 'bd'"),
        ("app+=2", 0, "app: none of its hosts has a volume of an array"),
    ],
)
def test_what_cannot_be_asked(change: str, status: int, words: str) -> None:
    done = budget(EXAMPLE, "--what-if", change)
    assert (done.status, done.out) == (status, "") and words in done.err


def test_two_questions_are_refused() -> None:
    done = budget(EXAMPLE, "--what-if", "db+=2", "--initiators")
    assert done.status == 2 and "ask one of them" in done.err


def test_a_site_without_arrays_has_no_budget() -> None:
    done = budget(SMALL)
    assert (done.status, done.out, done.err) == (0, "", "")
    assert budget(SMALL, "--json").json == []


# Who may have what


def test_the_access_list(tmp_path: Path) -> None:
    """Names of the lock, addresses of the nics that reach the array, CHAP's user; and what is not known is told."""
    site = san_with(tmp_path).site.root
    done = budget(site, "--initiators", "--json")
    assert done.err == "".join(
        f"{host}: no initiator name is known; 'bootforge lock' gives it one\n"
        for host in ("db03.prod.den.example.com", "xen01.den.example.com")
    )
    assert [(one["array"], one["pool"], one["wwid"] or one["target"]) for one in done.json] == [
        ("eql-den", "default", "36090a01820494c580000000000000001"),
        ("eql-den", "default", "36090a01820494c580000000000000002"),
        ("two-den", "fast", "iqn.2002-03.com.compellent:5000d31000a1b2c4"),
        ("two-den", "slow", "36000d31000a1b2c30000000000000001"),
    ]
    assert done.json[0]["initiators"] == [
        {
            "host": "db02.prod.den.example.com",
            "volume": "data",
            "initiator": "iqn.2008-05.com.example.den:db02.prod",
            "addresses": {"san0": "10.9.0.51", "san1": "10.9.0.52"},
            "chap_user": "db02",
        }
    ]
    assert done.json[1]["initiators"][0]["addresses"] == {"san": None}
    assert done.json[3]["size"] == 2 * 1024 * 1024
    text = budget(site, "--initiators").out.splitlines()
    assert re.split(r"  +", text[3].strip())[-3:] == ["-", "(san: dhcp)", "-"]
    assert len(text) == 2 + 4


def test_lock_gives_the_names_of_the_list(tmp_path: Path) -> None:
    site = san_with(tmp_path).site.root
    assert verb("lock", "--site", site).status == 0
    done = budget(site, "--initiators", "--json")
    assert done.err == "" and all(user["initiator"] for one in done.json for user in one["initiators"])


def test_a_host_that_knows_only_the_target_is_on_the_list_of_the_wwid(tmp_path: Path) -> None:
    generation = san_with(tmp_path, *SHARED)
    plans = [generation.plan(name) for name in ("db02.prod.den.example.com", "xen01.den.example.com")]
    for number, (wwid, target) in enumerate([("3" + "6" * 32, "iqn.2001-05.com.equallogic:a"), (None, "")]):
        storage = plans[number].storage
        assert storage is not None
        volume = replace(storage.volumes[0], wwid=wwid, target=target or "iqn.2001-05.com.equallogic:a", lun=None)
        plans[number] = replace(plans[number], storage=replace(storage, volumes=(volume,)))
    (one,) = permissions(plans)
    assert (one.wwid, one.target, len(one.initiators)) == ("3" + "6" * 32, "iqn.2001-05.com.equallogic:a", 2)


def test_an_array_is_told_the_addresses_that_it_sees(tmp_path: Path) -> None:
    """Of a host with two arrays, each has those of its own networks."""
    generation = san_with(
        tmp_path,
        (
            "    san1: {network: den-san,",
            "    a: {network: den-fab-a, mac: 52:54:00:12:35:04, address: 10.9.4.51, iscsi: true}\n"
            "    b: {network: den-fab-b, mac: 52:54:00:12:35:05, address: 10.9.5.51, iscsi: true}\n"
            "    san1: {network: den-san,",
        ),
        ("    data: {", "    more: {array: two-den, pool: fast, wwid: 36000d31000a1b2c30000000000000009}\n    data: {"),
    )
    mine = [
        (one.array, dict(user.addresses))
        for one in permissions(generation.plans.values())
        for user in one.initiators
        if user.host == "db02.prod.den.example.com"
    ]
    assert mine == [
        ("eql-den", {"san0": "10.9.0.51", "san1": "10.9.0.52"}),
        ("two-den", {"a": "10.9.4.51", "b": "10.9.5.51"}),
    ]


# The documentation


def test_the_table_of_the_documentation_is_the_examples() -> None:
    printed = [line.strip() for line in budget(EXAMPLE).out.splitlines()]
    text = (ROOT / "docs/budget.md").read_text()
    shown = [line.strip() for line in text.splitlines() if line.startswith(("    array ", "    ams-array "))]
    assert len(shown) == 3 and set(shown) <= set(printed)
