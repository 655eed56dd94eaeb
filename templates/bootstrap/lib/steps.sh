# Steps. The first comment line of each is its signature.

# bf_hostname NAME: the host's own name, in /etc/hostname and, outside an installer, in the kernel.
bf_hostname() {
    bf_put /etc/hostname 644 <<EOF || return 1
$1
EOF
    [ "$bf_phase" = run ] && [ -z "${BF_ROOT-}" ] || return 0
    [ "$(cat /proc/sys/kernel/hostname)" != "$1" ] || return 0
    if [ -n "$bf_check" ]; then
        bf_status=would bf_text="$bf_text kernel"
    else
        echo "$1" >/proc/sys/kernel/hostname || return 1
        bf_status=changed bf_text="$bf_text kernel"
    fi
}

# bf_nic_names MAC NAME...: udev keeps the names that the installer gave to nics by ifname=. A VLAN or bond has the
# MAC address of what it is made of; only a real device has a driver. udev leaves a name alone that a rule gave before
# 80-net-setup-link.rules (systemd.link(5)).
bf_nic_names() {
    bf_rules=
    while [ $# -ge 2 ]; do
        bf_rules="$bf_rules"'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{type}=="1", ATTR{address}=="'$1'", NAME="'$2'"
'
        shift 2
    done
    bf_put /etc/udev/rules.d/70-persistent-net.rules 644 <<EOF
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
        bf_tags=$(lvm vgs --noheadings -o vg_tags "$bf_vg" 2>/dev/null)
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
    if [ -n "$bf_check" ]; then
        bf_status=would bf_text="$bf_text $bf_what"
    elif "$@" >/dev/null 2>&1; then
        bf_status=changed bf_text="$bf_text $bf_what"
    else
        bf_text="$bf_text $bf_what could not be marked"
    fi
}

# bf_stamp NAME PLAN: /etc/bootforge/stamp says which host this is and from what it was made. It is written only
# if every step before it succeeded. Without --revision the revision that is recorded stays.
bf_stamp() {
    if [ "$bf_exit" -eq 5 ]; then
        bf_text="a step before it failed"
        return 1
    fi
    : "${bf_revision:=$(sed -n 's/^revision //p' "${BF_ROOT-}/etc/bootforge/stamp" 2>/dev/null)}"
    bf_sha256 "$bf_file" || return 1
    bf_put /etc/bootforge/stamp 644 <<EOF
host $1
revision ${bf_revision:-unknown}
plan sha256:$2
bootstrap sha256:$bf_sum
EOF
}
