# Steps. The first comment line of each is its signature.

# bf_file PATH MODE OWNER <CONTENT: a whole file.
bf_file() {
    bf_put "$1" "$2" "$3"
}

# bf_nic_names (MAC NAME)...: udev keeps the names that the installer gave to nics by ifname=. A VLAN or bond has the
# MAC address of what it is made of; only a real device has a driver. udev leaves a name alone that a rule gave before
# 80-net-setup-link.rules (systemd.link(5)).
bf_nic_names() {
    bf_rules=
    while [ $# -ge 2 ]; do
        bf_rules="$bf_rules"'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{type}=="1", ATTR{address}=="'$1'", NAME="'$2'"
'
        shift 2
    done
    bf_put /etc/udev/rules.d/70-persistent-net.rules 644 root:root <<EOF
# Written by Bootforge; changes are lost.
${bf_rules%?}
EOF
}

# bf_mark MARK GROUP...: MARK as the label of /boot, where that is ext, and as a tag of each volume group, so that the
# disk guard of the next install knows the disks for this host's own. XFS got the label when it was made. What cannot
# be marked is said and is no failure: a reinstall then needs 'arm --wipe'.
bf_mark() {
    bf_own=$1
    shift
    if [ -r "${BF_ROOT-}/proc/mounts" ]; then
        while read -r bf_device bf_mount bf_type _; do
            case $bf_mount:$bf_type in
            /boot:ext[234])
                bf_node=${BF_ROOT-}$bf_device
                bf_tag "$bf_device" "$(e2label "$bf_node" 2>/dev/null)" e2label "$bf_node" "$bf_own"
                ;;
            esac
        done <"${BF_ROOT-}/proc/mounts"
    fi
    for bf_vg in "$@"; do
        [ -z "${BF_ROOT-}" ] || [ -e "$BF_ROOT/dev/$bf_vg" ] || continue
        if ! bf_tags=$(lvm vgs --noheadings -o vg_tags "$bf_vg" 2>/dev/null); then
            bf_note "there is no volume group $bf_vg to mark"
            continue
        fi
        bf_tag "$bf_vg" "${bf_tags#"${bf_tags%%[! ]*}"}" lvm vgchange --addtag "$bf_own" "$bf_vg"
    done
}

# bf_tag WHAT NOW COMMAND...: runs COMMAND, unless what is there NOW has the mark already.
bf_tag() {
    bf_what=$1 bf_now=$2
    shift 2
    case ,$bf_now, in
    *",$bf_own,"* | *",$bf_own "*) return 0 ;;
    esac
    bf_change "$bf_what" || return 0
    "$@" >/dev/null 2>&1 || { bf_status=ok && bf_note "could not be marked"; }
}

# bf_first_boot: this script runs once more when the installed system has begun, for what an installer's chroot cannot
# have: running services. It is tried at every boot until it succeeds, after the network, and nothing waits for it.
bf_first_boot() {
    bf_put /var/lib/bootforge/first-boot 600 root:root <<EOS || return 1
$bf_host
EOS
    if [ "$bf_init" = sysv ]; then
        bf_put /etc/rc.d/init.d/bootforge-boot 755 root:root <<'EOS' || return 1
#!/bin/sh
# chkconfig: 345 99 01
# description: What Bootforge does at the first boot of this host.
case $1 in
start)
    [ ! -e /var/lib/bootforge/first-boot ] || /bin/sh /var/lib/bootforge/bootstrap --phase boot >/dev/null
    ;;
esac
EOS
        for bf_level in 3 4 5; do
            bf_link "/etc/rc.d/rc$bf_level.d/S99bootforge-boot" ../init.d/bootforge-boot || return 1
        done
        return 0
    fi
    bf_put /etc/systemd/system/bootforge-boot.service 644 root:root <<'EOS' || return 1
[Unit]
Description=What Bootforge does at the first boot of this host
ConditionPathExists=/var/lib/bootforge/first-boot
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=/bin/sh /var/lib/bootforge/bootstrap --phase boot

[Install]
WantedBy=multi-user.target
EOS
    bf_link /etc/systemd/system/multi-user.target.wants/bootforge-boot.service ../bootforge-boot.service
}

# bf_stamp HOST PLAN SCRIPT: /etc/bootforge/stamp says which host this is and from what it was made: the digests of the
# plan and of the script, and the revision of the site with which they came. It is written only when every step before it
# has succeeded, of a whole run; a later revision that changes nothing here leaves it as it is.
bf_stamp() {
    [ -z "$bf_only" ] || return 0
    bf_made="host $1${bf_newline}plan sha256:$2${bf_newline}bootstrap sha256:$3"
    { read -r bf_line && read -r bf_line2 && read -r bf_line3; } 2>/dev/null <"${BF_ROOT-}/etc/bootforge/stamp" ||
        bf_line='' bf_line2='' bf_line3=''
    [ "$bf_line$bf_newline$bf_line2$bf_newline$bf_line3" != "$bf_made" ] || return 0
    if [ "$bf_exit" -eq 5 ]; then
        bf_fail "a step before it failed"
        return
    fi
    bf_put /etc/bootforge/stamp 644 root:root <<EOS
$bf_made
revision ${bf_revision:-unknown}
EOS
}
