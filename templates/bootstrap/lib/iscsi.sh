# iSCSI before anybody logs in: which nics the machine must have, the records of ifaces, and what logs in at boot.

# bf_program NAME: sets bf_run to the program of that name: busybox's shell would take its own.
bf_program() {
    bf_run=$1 bf_ifs=$IFS IFS=:
    for bf_place in $PATH; do
        [ ! -x "$bf_place/$1" ] || { bf_run=$bf_place/$1 && break; }
    done
    IFS=$bf_ifs
}

# bf_machine_nics: sets bf_nics to a line 'NAME ADDRESS' for each nic of the machine, with 'hard' at the end where there
# is hardware, or what a hypervisor makes look so, behind it. A port of a bond shows the bond's address and keeps its own.
bf_machine_nics() {
    bf_nics=$bf_newline
    set +f
    set -- "${BF_ROOT-}"/sys/class/net/*
    set -f
    for bf_entry in "$@"; do
        { read -r bf_mac <"$bf_entry/address"; } 2>/dev/null || continue
        bf_hard=
        [ ! -e "$bf_entry/device" ] || bf_hard=' hard'
        bf_entry=${bf_entry##*/}
        [ -z "$bf_hard" ] || bf_own_address "$bf_entry"
        bf_nics="$bf_nics$bf_entry $bf_mac$bf_hard$bf_newline"
    done
}

# bf_own_address NIC: sets bf_mac to the address that NIC had before it became a port of a bond, if it is one.
bf_own_address() {
    bf_bond=$(readlink "${BF_ROOT-}/sys/class/net/$1/master") || return 0
    bf_port=
    while IFS= read -r bf_line; do
        case $bf_line in
        'Slave Interface: '*) bf_port=${bf_line##* } ;;
        'Permanent HW addr: '*) [ "$bf_port" != "$1" ] || bf_mac=${bf_line##* } ;;
        esac
    done <"${BF_ROOT-}/proc/net/bonding/${bf_bond##*/}"
} 2>/dev/null

# bf_nic_of MAC: sets bf_nic to the machine's nic with that address, and bf_count to how many have it.
bf_nic_of() {
    bf_nic='' bf_count=0
    while read -r bf_word bf_mac bf_hard; do
        [ "$bf_mac" = "$1" ] || continue
        bf_count=$((bf_count + 1))
        [ -n "$bf_nic" ] && [ -z "$bf_hard" ] || bf_nic=$bf_word
    done <<EOS
$bf_nics
EOS
}

# bf_storage_nics KIND NAME VALUE...: the machine is the one that was planned: it has a nic with each MAC address, (mac),
# and no other device that shares it (own), and each device by its name (device), which no installer has yet.
bf_storage_nics() {
    if [ "$bf_phase" = install ] && [ ! -d "${BF_ROOT-}/sys/class/net" ]; then
        bf_note "without /sys nobody can tell which nics these are"
        return 0
    fi
    bf_machine_nics
    bf_wrong=
    while [ $# -ge 3 ]; do
        case $1 in
        device)
            [ "$bf_phase" = install ] || [ -d "${BF_ROOT-}/sys/class/net/$3" ] || bf_wrong="$bf_wrong, $2 should be $3"
            ;;
        *)
            bf_nic_of "$3"
            case $1:$bf_count in
            *:0) bf_wrong="$bf_wrong, $2 should have $3" ;;
            own:1 | mac:*) ;;
            *) bf_wrong="$bf_wrong, the address $3 of $2 is on $bf_count devices" ;;
            esac
            ;;
        esac
        shift 3
    done
    [ -n "$bf_wrong" ] || return 0
    bf_there=
    while read -r bf_word bf_mac bf_hard; do
        [ -z "$bf_hard" ] || bf_there="$bf_there, $bf_word $bf_mac"
    done <<EOS
$bf_nics
EOS
    bf_fail "not the machine that was planned: ${bf_wrong#, }; it has ${bf_there#, }; nothing of its storage is touched"
}

# bf_iscsi_db: sets bf_db to where open-iscsi keeps its records: /var/lib/iscsi, of Debian /etc/iscsi.
bf_iscsi_db() {
    bf_db=/var/lib/iscsi
    if [ ! -d "${BF_ROOT-}$bf_db" ] && [ -f "${BF_ROOT-}/etc/iscsi/iscsid.conf" ]; then bf_db=/etc/iscsi; fi
}

# bf_iscsi_ifaces NAME KEY VALUE...: a record for each iface, by its MAC address (iface.hwaddress) or its device
# (iface.net_ifacename), in three lines: one key that a release does not know breaks all records. A record that was ours
# and is not any more is removed, unless a session uses it.
bf_iscsi_ifaces() {
    bf_iscsi_db
    bf_recall iscsi-ifaces
    bf_names=' '
    while [ $# -ge 3 ]; do
        bf_names="$bf_names$1 "
        bf_put "$bf_db/ifaces/$1" 600 root:root <<EOS || return 1
iface.iscsi_ifacename = $1
iface.transport_name = tcp
$2 = $3
EOS
        shift 3
    done
    for bf_word in $bf_ours; do
        case $bf_names in
        *" $bf_word "*) continue ;;
        esac
        [ -f "${BF_ROOT-}$bf_db/ifaces/$bf_word" ] || continue
        bf_sessions
        case $bf_open in
        *" $bf_word$bf_newline"*) bf_note "the iface $bf_word is not planned any more, and a session uses it" ;;
        *) bf_absent "$bf_db/ifaces/$bf_word" || return 1 ;;
        esac
    done
    # shellcheck disable=SC2086 # names have no blanks
    bf_remember iscsi-ifaces $bf_names
}

# bf_san_boot IFACES GROUPS DISKS MOUNTS: what logs in at every boot, by the node records that the bootstrap left. Their
# node.startup is manual, so nothing else does, and nothing waits for an array that is down: not the boot, where there
# are units, and where scripts run one after the other only for a while. Units try again until all is there: an array
# may come back, or a cable. Until the first boot has succeeded, that logs in.
bf_san_boot() {
    bf_script=/usr/libexec/bootforge-san
    [ "$bf_init" = systemd ] || bf_script=/etc/rc.d/init.d/bootforge-san
    bf_put "$bf_script" 755 root:root <<EOS || return 1
#!/bin/sh
# Written by Bootforge; changes are lost.
# chkconfig: 345 14 88
# description: iSCSI sessions and volumes of this host.
ifaces='$1' groups='$2'
disks='$3' mounts='$4'
$(bf_san_script)
EOS
    if [ "$bf_init" = sysv ]; then
        for bf_level in 3 4 5; do
            bf_link "/etc/rc.d/rc$bf_level.d/S14bootforge-san" ../init.d/bootforge-san || return 1
        done
        return 0
    fi
    bf_put /etc/systemd/system/bootforge-san.service 644 root:root <<'EOS' || return 1
# Written by Bootforge; changes are lost.
[Unit]
Description=iSCSI sessions of this host
ConditionPathExists=!/var/lib/bootforge/first-boot
Wants=network-online.target
After=network-online.target iscsid.socket iscsid.service multipathd.service
OnFailure=bootforge-san-again.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/libexec/bootforge-san start
TimeoutStartSec=180

[Install]
WantedBy=multi-user.target
EOS
    bf_put /etc/systemd/system/bootforge-san-again.service 644 root:root <<'EOS' || return 1
# Written by Bootforge; changes are lost.
[Unit]
Description=Another try at iSCSI sessions of this host

[Service]
ExecStart=/bin/sh -c 'sleep 60; systemctl start --no-block bootforge-san.service'
EOS
    bf_link /etc/systemd/system/multi-user.target.wants/bootforge-san.service ../bootforge-san.service
}

# bf_san_script: what follows the first lines of the script.
bf_san_script() {
    cat <<'EOS'
[ "${1:-start}" = start ] || exit 0
[ ! -e /var/lib/bootforge/first-boot ] || exit 0
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
db=/var/lib/iscsi
[ -d "$db" ] || db=/etc/iscsi

# The device of an iface, which has its name or its MAC address.
device_of() {
    while read -r key _ value; do
        case $key in
        iface.net_ifacename) echo "$value" ;;
        iface.hwaddress)
            for nic in /sys/class/net/*; do
                read -r mac <"$nic/address" && [ "$mac" = "$value" ] && echo "${nic##*/}"
            done 2>/dev/null
            ;;
        esac
    done <"$db/ifaces/$1"
}

# A session by one record, once its portal answers over its nic; 15 says that there is one already.
log_in() {
    portal=${1%/*} device=$(device_of "${1##*/}")
    target=${portal%/*} portal=${portal##*/} tries=15
    address=${portal%%,*} portal=${portal%,*}
    until ping -I "$device" -c 1 -W 1 "$address" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "$address does not answer over ${1##*/}" >&2 && return 1; }
        sleep 1
    done
    iscsiadm -m node -T "${target##*/}" -p "$address:${portal#*,}" -I "${1##*/}" --login || [ $? -eq 15 ]
}

# By SysV's script nobody else has started it.
if [ ! -d /run/systemd/system ]; then
    service iscsid status >/dev/null 2>&1 || service iscsid force-start || service iscsid start
fi >/dev/null 2>&1
jobs='' failed=0
for iface in $ifaces; do
    for record in "$db"/nodes/*/*,*,*/"$iface"; do
        [ -f "$record" ] || continue
        log_in "$record" </dev/null &
        jobs="$jobs $!"
    done
done
for job in $jobs; do
    wait "$job" || failed=1
done
[ -n "$jobs" ] || exit 0
tries=60
for disk in $disks; do
    while [ ! -e "$disk" ] && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 1
    done
    [ -e "$disk" ] || { echo "there is no $disk" >&2 && failed=1; }
done
for group in $groups; do
    vgchange -ay "$group" || failed=1
done
# Whoever else mounts it may be faster.
for mount in $mounts; do
    grep -q " $mount " /proc/mounts || mount "$mount" || grep -q " $mount " /proc/mounts || failed=1
done
exit "$failed"
EOS
}
