"""SELinux and the firewall: what the steps of plan/security.py promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.shell.test_system import edited, files, made, steps_of, tools, unit
from tests.shell.world import SHELLS, Case, World, machine_shell, proofs, script_of

CONFIG = "# theirs\nSELINUX=permissive\nSELINUXTYPE=targeted\n"
LOCAL = "etc/selinux/targeted/contexts/files/file_contexts.local"
PUBLIC = """<?xml version="1.0" encoding="utf-8"?>
<zone>
  <short>Public</short>
  <service name="ssh"/>
  <port protocol="tcp" port="9090"/>
  <rule family="ipv4"><source address="10.0.0.1"/><service name="https"/></rule>
</zone>
"""
FIREWALL = r"""
# The zone public below $root/etc/firewalld; the two tools differ in how they take a service away.
zone=$root/etc/firewalld/zones/public.xml
case $1 in --state) [ -e "$fake/firewalld-runs" ]; exit ;; --permanent) shift ;; esac
[ "$1" = --zone=public ] || { echo "no $1" >&2; exit 1; }
mkdir -p "${zone%/*}"; from=$zone
[ -e "$zone" ] || from=$root/usr/lib/firewalld/zones/public.xml
case $2 in
--add-service=*) line="<service name=\"${2#*=}\"/>" ;;
--add-port=*) port=${2#*=}; line="<port port=\"${port%/*}\" protocol=\"${port#*/}\"/>" ;;
--remove-service=* | --remove-service-from-zone=*) gone="<service name=\"${2#*=}\"/>" ;;
--remove-port=*) port=${2#*=}; gone="<port port=\"${port%/*}\" protocol=\"${port#*/}\"/>" ;;
*) echo "no $2" >&2; exit 1 ;;
esac
if [ -n "$line" ]; then sed "s|^</zone>|  $line\n</zone>|" "$from" >"$zone.new"
else sed "\\|^  $gone\$|d" "$from" >"$zone.new"; fi && mv "$zone.new" "$zone" || { rm -f "$zone.new"; exit 1; }
"""
SEMANAGE = r"""
local=$root/etc/selinux/targeted/contexts/files/file_contexts.local
case $2 in
-a) ! grep -qsF "$5 " "$local" || { echo defined >&2; exit 1; }
    mkdir -p "${local%/*}"; echo "$5 system_u:object_r:$4:s0" >>"$local" ;;
-m) awk -v t="$4" '$1 == ENVIRON["regex"] { $2 = "system_u:object_r:" t ":s0" } 1' "$local" >"$local.n"
    mv "$local.n" "$local" ;;
-d) grep -vF "$3 " "$local" >"$local.n"; mv "$local.n" "$local" ;;
esac
"""
SETSEBOOL = r"""
shift
for one; do echo "${one#*=} ${one#*=}" >"$root/sys/fs/selinux/booleans/${one%=*}"; done
"""
IPTABLES = """# Firewall configuration written by system-config-firewall
*filter
:INPUT ACCEPT [0:0]
-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
-A INPUT -m state --state NEW -m tcp -p tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""
CHKCONFIG = r"""
link=$root/etc/rc.d/rc3.d/S08$1
if [ "$2" = on ]; then mkdir -p "${link%/*}"; ln -sf "../init.d/$1" "$link"; else rm -f "$link"; fi
"""
SERVICE = r"""
lock=$root/var/lock/subsys/$1
case $2 in
start | restart) mkdir -p "${lock%/*}"; : >"$lock" ;;
stop) rm -f "$lock" ;;
status) [ -e "$lock" ] ;;
esac
"""


def rooted(**scripts: str) -> Callable[[World], Any]:
    """Stand-ins that know the root."""
    return lambda world: tools(**{n: f"root={world.root}\n{s}" for n, s in scripts.items()})(world)


def prepare_firewalld(world: World) -> None:
    world.write("usr/lib/firewalld/zones/public.xml", PUBLIC)
    world.write("etc/firewalld/firewalld.conf", "# theirs\nDefaultZone=public\n")
    rooted(**{"firewall-offline-cmd": FIREWALL, "firewall-cmd": FIREWALL})(world)
    unit("firewalld", "active", "enabled")(world)
    (world.fake / "firewalld-runs").touch()


def prepare_selinux(world: World) -> None:
    files({"etc/selinux/config": CONFIG, "sys/fs/selinux/enforce": "0"})(world)
    for name in ("httpd_use_nfs", "ftpd_full_access", "zebra"):
        world.write(f"sys/fs/selinux/booleans/{name}", "0 0")
    world.write("srv/web/x", "")
    semanage = f"export regex=$5\n{SEMANAGE}"
    rooted(semanage=semanage, setsebool=SETSEBOOL)(world)
    tools(restorecon="exit 0")(world)


def _iptables(world: World) -> None:
    world.write("etc/sysconfig/iptables", IPTABLES, 0o600)
    world.write("etc/rc.d/init.d/iptables", "")
    rooted(chkconfig=CHKCONFIG, service=SERVICE)(world)


CASES = [
    Case(
        "selinux",
        steps_of(
            "el9",
            "selinux selinux-booleans",
            selinux="enforcing",
            selinux_booleans={"httpd_use_nfs": "on", "ftpd_full_access": "off"},
        ),
        prepare=prepare_selinux,
        drifts={
            "file": edited("etc/selinux/config", "=enforcing", "=disabled"),
            "live": lambda w: w.write("sys/fs/selinux/enforce", "0"),
            "boolean": lambda w: w.write("sys/fs/selinux/booleans/httpd_use_nfs", "0 0"),
        },
    ),
    Case(
        "contexts",
        steps_of("el9", "selinux-contexts", selinux_contexts={"/srv/web(/.*)?": "httpd_sys_content_t"}),
        prepare=prepare_selinux,
        drifts={
            "another": edited(LOCAL, "httpd_sys_content_t", "var_t"),
            "gone": lambda w: w.write(LOCAL, ""),
        },
    ),
    Case(
        "firewalld",
        steps_of("el9", "firewall", firewall={"services": ["http"], "ports": ["9090/tcp", "53/udp"]}),
        prepare=prepare_firewalld,
        drifts={
            "port": edited("etc/firewalld/zones/public.xml", '  <port port="53" protocol="udp"/>\n', ""),
            "disabled": unit("firewalld", "active"),
        },
        handlers=("systemctl reload-or-try-restart firewalld",),
    ),
    Case(
        "iptables",
        steps_of("el6", "firewall", firewall={"services": ["http"], "ports": ["53/udp"]}),
        prepare=_iptables,
        drifts={
            "mode": lambda w: (w.root / "etc/sysconfig/iptables").chmod(0o644),
            "off": lambda w: (w.root / "etc/rc.d/rc3.d/S08iptables").unlink(),
            "stopped": lambda w: (w.root / "var/lock/subsys/iptables").unlink(),
        },
        release="el6",
    ),
]

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def test_a_firewall_keeps_what_is_not_ours(shell: list[str], tmp_path: Path) -> None:
    world = CASES[2].world(tmp_path / "w")
    assert world.run(shell, CASES[2].script(tmp_path)).status == 0
    zone = world.root / "etc/firewalld/zones/public.xml"
    assert '<service name="http"/>' in zone.read_text()
    script = tmp_path / "less"
    script.write_text(script_of(steps_of("el9", "firewall", firewall={"services": ["https"]})))
    for phase in ("run", "install"):
        assert world.run(shell, script, "--phase", phase).status == 0
        left = [line for line in zone.read_text().splitlines() if '="53"' in line or '"http"' in line]
        assert left == [] and zone.read_text().count('name="https"') == 2
    script.write_text(script_of(steps_of("el9", "firewall", firewall={"enabled": "false"})))
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["firewall"]) == (0, "firewalld not at boot, firewalld not now")
    assert world.run(shell, script).statuses["firewall"] == "ok"


def test_a_service_is_taken_away_offline_by_another_name(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el9", "firewall"))
    prepare_firewalld(world)
    world.write("etc/firewalld/zones/public.xml", PUBLIC.replace("</zone>", '  <service name="x"/>\n</zone>'))
    world.write("etc/bootforge/firewall", "service=ssh\nservice=x\n")
    assert world.run(shell, script, "--phase", "install").status == 0
    assert "firewall-offline-cmd --zone=public --remove-service-from-zone=x" in world.calls()


def test_a_firewall_that_is_not_there_fails_and_none_is_no_loss(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el9", "firewall"))
    assert world.run(shell, script).texts["firewall"] == "firewalld is not installed"
    script.write_text(script_of(steps_of("el9", "firewall", firewall={"enabled": "false"})))
    assert world.run(shell, script).statuses["firewall"] == "ok"


def test_rules_stand_before_the_one_that_refuses(shell: list[str], tmp_path: Path) -> None:
    world = CASES[3].world(tmp_path / "w")
    assert world.run(shell, CASES[3].script(tmp_path)).status == 0
    table = world.root / "etc/sysconfig/iptables"
    new = "-A INPUT -m state --state NEW -m {0} -p {0} --dport {1} -j ACCEPT\n"
    ours = new.format("udp", 53) + new.format("tcp", 80)
    assert table.read_text() == IPTABLES.replace("-A INPUT -j REJECT", ours + "-A INPUT -j REJECT")
    script = tmp_path / "less"
    script.write_text(script_of(steps_of("el6", "firewall"), "el6"))
    assert world.run(shell, script).status == 0
    assert table.read_text() == IPTABLES
    table.write_text("*filter\nCOMMIT\n")
    assert "left alone" in world.run(shell, script).texts["firewall"]
    assert table.read_text() == "*filter\nCOMMIT\n"
    script.write_text(script_of(steps_of("el6", "firewall", firewall={"enabled": "false"}), "el6"))
    assert world.run(shell, script).texts["firewall"] == "iptables off at boot, iptables not now"


def test_no_boot_is_hidden(shell: list[str], tmp_path: Path) -> None:
    for mode, live, text, then in (
        ("disabled", "1", "/etc/selinux/config, disabled from the next boot on", "1"),
        ("enforcing", "", "/etc/selinux/config, enforcing from the next boot on", ""),
        ("permissive", "1", "permissive now", "0\n"),
    ):
        at = tmp_path / mode
        at.mkdir()
        world, script = made(at, steps_of("el9", "selinux", selinux=mode))
        prepare_selinux(world)
        world.write("sys/fs/selinux/enforce", live)
        ran = world.run(shell, script)
        assert (ran.status, ran.texts["selinux"]) == (0, text)
        assert (world.root / "sys/fs/selinux/enforce").read_text() == then
    world, script = made(tmp_path, steps_of("el9", "selinux"))
    assert world.run(shell, script).texts["selinux"] == "there is no /etc/selinux/config"


def test_where_selinux_is_off_its_policy_is_left_alone(shell: list[str], tmp_path: Path) -> None:
    settings = {"selinux_booleans": {"zebra": "on", "no": "on"}, "selinux_contexts": {"/x": "var_t"}}
    world, script = made(tmp_path, steps_of("el9", "selinux-booleans selinux-contexts", **settings))
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["selinux-booleans"], ran.texts["selinux-contexts"]) == (
        0,
        "SELinux is disabled",
        "SELinux is disabled",
    )
    prepare_selinux(world)
    (world.bin / "semanage").unlink()
    for args in ((), ("--check",)):
        ran = world.run(shell, script, *args)
        assert ran.texts["selinux-booleans"].endswith("the policy has no boolean no")
        assert ran.texts["selinux-contexts"].startswith("semanage is not installed")


def test_labels_are_given_where_a_pattern_begins(shell: list[str], tmp_path: Path) -> None:
    world = CASES[1].world(tmp_path / "w")
    ran = world.run(shell, CASES[1].script(tmp_path))
    assert ran.statuses["handler:relabel"] == "changed"
    assert f"restorecon -R {world.root}/srv/web" in world.calls()
    script = tmp_path / "none"
    script.write_text(script_of(steps_of("el9", "selinux-contexts")))
    assert world.run(shell, script).texts["selinux-contexts"].startswith("/srv/web(/.*)? (removed)")
    assert (world.root / LOCAL).read_text() == ""
    assert world.run(shell, script).statuses["selinux-contexts"] == "ok"
