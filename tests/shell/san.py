"""A storage network for the bootstrap's steps: an array, and stand-ins for what reaches it. They are written after
open-iscsi 2.1.8, multipath-tools 0.9.4 and lvm2 2.03.16, know only what the bootstrap asks of those, and prove nothing
of them: tests/vm/test_san.py has the real ones. blkid and wipefs are real here too, and look into files that stand for
disks."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

from tests.shell.world import World

SIZE = 2560 * 1024
"""Of a disk, in bytes: more than the bootstrap looks at to tell whether it is blank."""

RECORD = """\
# BEGIN RECORD 2.1.8
node.name = TARGET
node.tpgt = 1
node.startup = manual
node.leading_login = No
iface.iscsi_ifacename = IFACE
iface.transport_name = tcp
node.discovery_address = 10.9.0.10
node.session.timeo.replacement_timeout = 120
node.session.auth.authmethod = None
node.conn[0].timeo.login_timeout = 15
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 5
node.session.iscsi.FastAbort = Yes
# END RECORD
"""

ISCSIADM = r"""
root=ROOT; db=$root/DB; cd $fake
mode='' target='' portal='' iface='' op='' login=''
while [ $# -gt 0 ]; do
    case $1 in
    -m) mode=$2; shift ;; -T) target=$2; shift ;; -p) portal=$2; shift ;; -I) iface=$2; shift ;;
    -o) op=$2; shift ;; -t | -P) shift ;; --login) login=1 ;;
    *) echo "iscsiadm stand-in: $1?" >&2; exit 7 ;;
    esac
    shift
done
through() { grep -qx "$1 $2" down && return 1; return 0; } 2>/dev/null
case $mode in
session)
    [ -s sessions ] || { echo 'iscsiadm: No active sessions.' >&2; exit 21; }
    while read -r t p i; do
        printf 'Target: %s (non-flash)\n\tCurrent Portal: 10.9.0.99:3260,1\n\tPersistent Portal: %s,1\n' $t $p
        printf '\t\t**********\n\t\tInterface:\n\t\t**********\n\t\tIface Name: %s\n\t\tIface Transport: tcp\n' $i
        printf '\t\tIface Netdev: <empty>\n\t\tSID: 1\n\t\tiSCSI Session State: LOGGED_IN\n'
    done <sessions ;;
discovery)
    [ -f $db/ifaces/$iface ] || { echo "iscsiadm: Could not read iface info for $iface." >&2; exit 3; }
    grep -qv 'iface\.\(iscsi_ifacename\|transport_name\|hwaddress\|net_ifacename\) = ' $db/ifaces/$iface &&
        { echo 'iscsiadm: Unknown parameter name' >&2; exit 7; }
    if ! through $iface $portal || ! grep -q " asked=$portal" targets; then
        echo "iscsiadm: connect to ${portal%:*} timed out" >&2
        echo 'iscsiadm: Could not perform SendTargets discovery: encountered connection failure' >&2; exit 4
    fi
    while read -r at t asked; do
        [ "$asked" = "asked=$portal" ] || continue
        record=$db/nodes/$t/${at%:*},${at#*:},1/$iface
        echo "$at,1 $t"
        [ -e $record ] && continue
        mkdir -p ${record%/*}
        chmod 700 $db/nodes ${record%/*} ${record%/*/*}
        # Read from iscsid.conf as it is now; the real one copies every key.
        sed "s/TARGET/$t/; s/IFACE/$iface/" record >$record.tmp
        sed -n 's/^\(node[^ ]*\) *= */\1 /p' $root/etc/iscsi/iscsid.conf | while read -r key value; do
            awk -v key="$key" -v value="$value" 'index($0, key " = ") == 1 { $0 = key " = " value } { print }' \
                $record.tmp >$record.tmp2 && mv $record.tmp2 $record.tmp
        done
        chmod 600 $record.tmp; mv $record.tmp $record
    done <targets ;;
node)
    record=$(ls $db/nodes/$target/${portal%:*},${portal#*:},*/$iface 2>/dev/null)
    [ -f "$record" ] || { echo 'iscsiadm: No records found' >&2; exit 21; }
    case $login$op in
    delete) rm -f $record; rmdir ${record%/*} ${record%/*/*} $db/nodes 2>/dev/null; exit 0 ;;
    1) ;;
    *) exit 7 ;;
    esac
    grep -qx "$target $portal $iface" sessions && {
        echo "iscsiadm: default: 1 session requested, but 1 already present." >&2; exit 15; }
    echo "Logging in to [iface: $iface, target: $target, portal: ${portal%:*},${portal#*:}]"
    if [ -e chap ] && ! grep -qx "node.session.auth.password = $(cat chap)" $record; then
        echo 'iscsiadm: initiator reported error (24 - iSCSI login failed due to authorization failure)' >&2
        echo 'iscsiadm: Could not log into all portals' >&2; exit 24
    fi
    if ! through $iface $portal; then
        echo 'iscsiadm: initiator reported error (8 - connection timed out)' >&2
        echo 'iscsiadm: Could not log into all portals' >&2; exit 8
    fi
    echo "$target $portal $iface" >>sessions
    while read -r disk t; do
        [ "$t" = "$target" ] && [ ! -e $root$disk ] || continue
        mkdir -p $root${disk%/*}
        if [ -e content ]; then cp --sparse=always content $root$disk; else truncate -s SIZE $root$disk; fi
    done <disks ;;
*) exit 7 ;;
esac
"""

PING = r"""
cd $fake; dev='' size=0; for last; do :; done
while [ $# -gt 0 ]; do case $1 in -I) dev=$2 ;; -s) size=$2 ;; esac; shift; done
grep -qx "$dev $last" silent && exit 1
[ $size -le $(cat mtu) ] || exit 1
exit 0
"""

DMSETUP = r"""
cd $fake
case "$*" in
'info -c --noheadings -o uuid '*) for name; do :; done; [ -e ROOT/dev/mapper/$name ] && cat uuid-$name ;;
'status '*)
    [ -e ROOT/dev/mapper/$2 ] || { echo 'Device does not exist.' >&2; exit 1; }
    n=$(cat sessions | wc -l); [ ! -e lost ] || n=$((n - $(cat lost)))
    printf '0 10240 multipath 2 0 0 0 1 1 A 0 2 0'; i=0
    while [ $i -lt $n ]; do printf ' 8:%s A 0' $((i * 16)); i=$((i + 1)); done
    [ ! -e lost ] || printf ' 8:240 F 1'
    echo ;;
*) exit 2 ;;
esac
"""

MULTIPATHD = r"""
[ "$*" = -kreconfigure ] || exit 1
grep -qx active $fake/units/multipathd 2>/dev/null || [ -e $fake/running/multipathd ] || exit 1
cp ROOT/etc/multipath.conf $fake/multipath.conf && echo ok
"""

LVM = r"""
# $fake/lvm/pv-DISK has the group of a physical volume, or nothing; $fake/lvm/vg-GROUP the names of its logical volumes.
cd $fake/lvm
disk='' tool=${0##*/} list=ROOT/etc/lvm/devices/system.devices
for last; do :; done
named=${last#ROOT} key=pv-$(echo "${last#ROOT}" | tr / _)
label() { [ "$(dd if="$1" bs=1 skip=536 count=8 2>/dev/null)" = 'LVM2 001' ]; }
case $tool in
pvs)
    case $1 in --devices) seen=1 ;; *) seen=; [ -e $list ] && ! grep -qx "$named" $list || seen=1 ;; esac
    [ -n "$seen" ] && label "$last" || { echo "  Failed to find physical volume \"$last\"." >&2; exit 5; }
    echo "  $(cat $key 2>/dev/null)" ;;
vgs) case $last in
    vg_name) for one in vg-*; do [ ! -e $one ] || echo "  ${one#vg-}"; done ;;
    *) [ -e vg-$last ] || { echo "  Volume group \"$last\" not found" >&2; exit 5; } ;;
    esac ;;
lvs) [ -e vg-$last ] || { echo "  Volume group \"$last\" not found" >&2; exit 5; }
    while read -r lv; do echo "  $lv"; done <vg-$last ;;
pvcreate) dd if=$fake/label of="$last" bs=512 seek=1 conv=notrunc 2>/dev/null; : >$key ;;
vgcreate) label "$last" || exit 5; echo "$2" >vg; mv vg $key; grep -qsx x vg-$1 || : >vg-$1; echo "$1" >$key ;;
lvcreate) # -l 100%FREE -n LV VG
    [ -e vg-$5 ] || exit 5
    mkdir -p ROOT/dev/mapper; truncate -s SIZE "ROOT/dev/mapper/$5-$4"; echo "$4" >>vg-$5 ;;
vgchange)
    while read -r lv; do
        [ -e "ROOT/dev/mapper/$2-$lv" ] || truncate -s SIZE "ROOT/dev/mapper/$2-$lv"
    done <vg-$2 ;;
lvmdevices) mkdir -p ${list%/*}; grep -qsx "$named" $list || echo "$named" >>$list ;;
vgimportdevices) mkdir -p ${list%/*}; echo imported >>$list ;;
*) exit 1 ;;
esac
"""

MKFS = r"""
# All at once: what is half made is a test of its own.
for last; do :; done
rm -f "$last.new"; truncate -s SIZE "$last.new"
E2FSPROGS_FAKE_TIME=1 /usr/sbin/mke2fs -t TYPE -F -q -U 5a1ed3d2-0000-4000-8000-000000000001 \
    -E hash_seed=5a1ed3d2-0000-4000-8000-000000000002 "$last.new" </dev/null && mv "$last.new" "$last"
"""

MOUNT = r"""
root=ROOT
case $1 in
-t) # -t TYPE -o ro DEVICE DIRECTORY: whether it is whole
    [ ! -e $fake/half ] || { echo "mount: wrong fs type, bad option, bad superblock on $5" >&2; exit 32; }
    exit 0 ;;
esac
[ -d $root$1 ] || { echo "mount: $1: mount point does not exist." >&2; exit 32; }
awk -v at="$1" '$2 == at && $1 !~ /^#/ { print $1, $2, $3, "rw 0 0"; found = 1 } END { exit !found }' $root/etc/fstab \
    >$fake/new || { echo "mount: $1: can't find in /etc/fstab." >&2; exit 32; }
read -r device rest <$fake/new
[ -e $root$device ] || { echo "mount: $1: special device $device does not exist." >&2; exit 32; }
cat $fake/new >>$root/proc/mounts; rm $fake/new
"""


def label() -> bytes:
    """The second sector of a physical volume (lib/format_text/layout.h): id, sector, CRC of the rest, offset, type."""
    rest = (32).to_bytes(4, "little") + b"LVM2 001" + b"0123456789abcdefghijklmnopqrstuv" + bytes(448)
    rest = rest[:492]
    crc = zlib.crc32(rest, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    return b"LABELONE" + (1).to_bytes(8, "little") + crc.to_bytes(4, "little") + rest


def array(
    world: World, nics: dict[str, str], targets: str, disks: dict[str, tuple[str, str]], db: str = "var/lib/iscsi"
) -> World:
    """``nics``: MAC addresses by the machine's names. ``targets``: lines 'PORTAL TARGET asked=PORTAL', what an array
    answers at the portal that is asked. ``disks``: WWID and target by path."""
    root = str(world.root)
    for name, script in {"iscsiadm": ISCSIADM, "ping": PING, "dmsetup": DMSETUP, "multipathd": MULTIPATHD}.items():
        world.tool(name, script.replace("ROOT", root).replace("DB", db).replace("SIZE", str(SIZE)))
    for name in ("pvs", "vgs", "lvs", "pvcreate", "vgcreate", "lvcreate", "vgchange", "lvmdevices", "vgimportdevices"):
        world.tool(name, LVM.replace("ROOT", root).replace("SIZE", str(SIZE)))
    for kind in ("ext3", "ext4"):
        world.tool(f"mkfs.{kind}", MKFS.replace("TYPE", kind).replace("SIZE", str(SIZE)))
    world.tool("mount", MOUNT.replace("ROOT", root))
    world.tool("umount", "exit 0")
    world.tool("multipath", "exit 0")
    world.tool("blockdev", '[ "$1" = --getsize64 ] && stat -c %s "$2"')
    for name in ("blkid", "wipefs"):
        (world.bin / name).symlink_to(shutil.which(name, path="/usr/sbin:/sbin:/usr/bin") or name)
    for name, mac in nics.items():
        world.write(f"sys/class/net/{name}/address", f"{mac}\n")
        world.write(f"sys/class/net/{name}/device/vendor", "")
    world.write("sys/class/net/lo/address", "00:00:00:00:00:00\n")
    world.write("proc/mounts", "/dev/root / ext4 rw 0 0\n")
    world.write("etc/fstab", "# mine\n/dev/root / ext4 defaults 1 1\n")
    world.write("etc/iscsi/iscsid.conf", "# the package's\nnode.startup = automatic\n#node.leading_login = No\n")
    world.write("etc/lvm/lvm.conf", 'config {\n}\ndevices {\n\tscan = [ "/dev" ]\n\t# filter = []\n}\n')
    (world.root / db / "ifaces").mkdir(parents=True)
    (world.fake / "units").mkdir()
    for name in ("iscsid.socket", "multipathd"):
        (world.fake / "units" / name).write_text("")
    (world.fake / "targets").write_text(targets)
    (world.fake / "disks").write_text("".join(f"{path} {target}\n" for path, (_, target) in disks.items()))
    for path, (wwid, _) in disks.items():
        (world.fake / f"uuid-{Path(path).name}").write_text(f"mpath-{wwid}\n")
    (world.fake / "record").write_text(RECORD)
    (world.fake / "sessions").touch()
    (world.fake / "lvm").mkdir()
    (world.fake / "mtu").write_text("8972\n")
    (world.fake / "silent").write_text("")
    (world.fake / "label").write_bytes(label())
    return world


def knows_the_label(file: Path) -> bool:
    """Whether the real blkid takes our label for LVM's."""
    content = bytearray(SIZE)
    content[512:1024] = label()
    file.write_bytes(bytes(content))
    done = subprocess.run(
        ["blkid", "-c", "/dev/null", "-o", "value", "-s", "TYPE", file], capture_output=True, text=True
    )
    return done.stdout == "LVM2_member\n"
