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
