# The network of the installed system. Its profiles are whole files; here is what else is needed to own the nics, and
# what brings them up anew: the handler `network`, which goes back by itself to what was before when the router or the
# server does not answer any more.
#
# What was active before the first change that is not active yet is kept in /var/lib/bootforge/network: profiles, with
# their directories, and `boot`, the boot in which they were. A machine that has booted since runs the new ones.

bf_scripts=/etc/sysconfig/network-scripts
bf_keyfiles=/etc/NetworkManager/system-connections

# bf_bond_aliases BOND...: modprobe.conf names the module of each bond; EL5 finds it by no other way.
bf_bond_aliases() {
    bf_all=$bf_newline
    if [ -f "${BF_ROOT-}/etc/modprobe.conf" ]; then
        while IFS= read -r bf_line || [ -n "$bf_line" ]; do
            bf_all="$bf_all$bf_line$bf_newline"
        done <"${BF_ROOT-}/etc/modprobe.conf"
    fi
    for bf_bond in "$@"; do
        case $bf_all in
        *"${bf_newline}alias $bf_bond bonding$bf_newline"*) ;;
        *) bf_all="${bf_all}alias $bf_bond bonding$bf_newline" ;;
        esac
    done
    bf_all=${bf_all#"$bf_newline"}
    bf_put /etc/modprobe.conf 644 root:root <<EOS
${bf_all%"$bf_newline"}
EOS
}

# bf_network_others FILE... -- CLAIM...: removes every profile, and every file of routes, that is for one of our nics and
# is not one of FILE. CLAIM: names and MAC addresses of our nics. A profile is for the device or the MAC address that it
# names, or else for the device that it is called after; the kernel knows which name a MAC address has now.
bf_network_others() {
    bf_own=' '
    while [ "$1" != -- ]; do
        bf_own="$bf_own$1 "
        shift
    done
    shift
    bf_claims=" $* "
    bf_found=
    set +f
    for bf_file in "${BF_ROOT-}$bf_scripts"/ifcfg-* "${BF_ROOT-}$bf_scripts"/route-* "${BF_ROOT-}$bf_scripts"/route6-* \
        "${BF_ROOT-}$bf_keyfiles"/*; do
        bf_base=${bf_file##*/}
        case $bf_own in
        *" $bf_base "*) continue ;;
        esac
        case $bf_base in
        ifcfg-lo | *.bak | *.orig | *.rpmnew | *.rpmorig | *.rpmsave | *~ | *"$bf_newline"*) ;;
        *) [ ! -f "$bf_file" ] || bf_found="$bf_found$bf_base$bf_newline" ;;
        esac
    done
    for bf_file in "${BF_ROOT-}"/sys/class/net/*/device; do
        [ -e "$bf_file" ] || continue
        { read -r bf_mac <"${bf_file%/device}/address"; } 2>/dev/null || continue
        case $bf_claims in
        *" $bf_mac "*)
            bf_file=${bf_file%/device}
            bf_claims="$bf_claims${bf_file##*/} "
            ;;
        esac
    done
    set -f
    while IFS= read -r bf_base; do
        case $bf_base in
        '') continue ;;
        ifcfg-* | route-* | route6-*) bf_file=$bf_scripts/$bf_base bf_for=${bf_base#*-} ;;
        *) bf_file=$bf_keyfiles/$bf_base bf_for= ;;
        esac
        case $bf_base in
        route*) ;;
        *) bf_claimed "${BF_ROOT-}$bf_file" ;;
        esac
        for bf_word in $bf_for; do
            case $bf_base:$bf_claims$bf_own in
            *" $bf_word "* | route*" ifcfg-$bf_word "*)
                bf_absent "$bf_file" || return 1
                break
                ;;
            esac
        done
    done <<EOS
$bf_found
EOS
}

# bf_claimed FILE: sets bf_for to the device and the MAC address that a profile names, in lower case where it is that;
# leaves it where it names none.
bf_claimed() {
    bf_named=
    while IFS= read -r bf_line || [ -n "$bf_line" ]; do
        case $bf_line in
        DEVICE=* | HWADDR=* | interface-name=* | mac-address=*) ;;
        *) continue ;;
        esac
        bf_word=${bf_line#*=}
        bf_word=${bf_word#[\'\"]}
        bf_word=${bf_word%%[\'\"\ ]*}
        case $bf_word in
        ??:??:??:??:??:??) bf_word=$(echo "$bf_word" | tr ABCDEF abcdef) ;;
        esac
        bf_named="$bf_named $bf_word"
    done <"$1"
    bf_for=${bf_named:-$bf_for}
} 2>/dev/null

# bf_profiles DIRECTORY...: sets bf_found to the files below each that configure nics, one a line, without DIRECTORY.
bf_profiles() {
    bf_found=
    set +f
    for bf_from in "$@"; do
        for bf_file in "$bf_from$bf_scripts"/ifcfg-* "$bf_from$bf_scripts"/route-* "$bf_from$bf_scripts"/route6-* \
            "$bf_from$bf_keyfiles"/*; do
            case $bf_file in
            */ifcfg-lo | *"$bf_newline"*) ;;
            *) [ ! -f "$bf_file" ] || bf_found="$bf_found${bf_file#"$bf_from"}$bf_newline" ;;
            esac
        done
    done
    set -f
}

# bf_this_boot: sets bf_boot, and bf_kept_boot to the boot of what is kept; to nothing when nothing is.
bf_this_boot() {
    bf_kept_boot=
    { read -r bf_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || bf_boot=unknown
    { read -r bf_kept_boot <"$bf_state/network/boot"; } 2>/dev/null || return 0
}

# bf_network_keep: keeps what is active now, unless what is kept is active still.
bf_network_keep() {
    bf_this_boot
    [ "$bf_kept_boot" != "$bf_boot" ] || return 0
    bf_profiles "${BF_ROOT-}"
    bf_state_copy network boot "$bf_boot" <<EOS
$bf_found
EOS
}

# bf_network_due: whether the handler is to be run now. A machine that has booted since runs the new network already; a
# machine at work is left as it is, unless the run says --apply-network. Neither is a failure.
bf_network_due() {
    bf_this_boot
    case $bf_phase in
    install) return 0 ;;
    esac
    case " $bf_due " in
    *' network '*) ;;
    *)
        if [ "$bf_kept_boot" != "$bf_boot" ]; then
            [ -z "$bf_check" ] || return 1
            bf_state_drop network pending/network
            bf_tell ok 0 "handler:network" 'the machine has booted with it'
            return 1
        fi
        ;;
    esac
    [ "$bf_phase$bf_apply" = run ] || return 0
    bf_tell skipped 0 "handler:network" 'needs --apply-network'
    return 1
}

# bf_network: brings up what changed. A process of its own sees to it that what was before comes back, unless it is told
# that all is well: also when this one is killed, or takes longer than five minutes.
bf_network() {
    bf_kept=$bf_state/network
    bf_reached=
    for bf_word in $bf_reach; do
        if bf_answers "$bf_word"; then bf_reached="$bf_reached $bf_word"; fi
    done
    if [ -z "$bf_reached" ] && [ "$bf_phase" = run ]; then
        echo "none of $bf_reach answers even now, so nothing is brought up"
        return 1
    fi
    bf_state_put network/watch "$$ $bf_begun" || return 1
    if [ -n "$bf_reached" ]; then
        # By exec: a shell keeps what a redirected function had, and whoever reads that would wait for it.
        (exec </dev/null >/dev/null 2>&1 3>&- && bf_network_watch "$$ $bf_begun") &
    fi
    bf_watcher=$!
    bf_network_up "${BF_ROOT-}" "$bf_kept"
    bf_nap=${BF_NETWORK_WAIT:-30}
    while ! bf_all_answer; do
        bf_nap=$((bf_nap - 1))
        if [ "$bf_nap" -le 0 ]; then
            bf_state_put network/undo
            wait "$bf_watcher"
            echo "$bf_word did not answer within ${BF_NETWORK_WAIT:-30} s: what was before is active again"
            return 1
        fi
        sleep 1
    done
    # From here on nobody goes back.
    bf_state_drop network/watch && bf_state_drop network
    [ "$bf_down" = ' ' ] || { echo "could not be brought up:$bf_down" && return 1; }
}

# bf_network_watch TOKEN: waits until all is well, or puts back what was before. Deaf to what ends a session.
bf_network_watch() {
    trap '' HUP INT PIPE
    trap : TERM
    trap - EXIT
    bf_nap=300
    while { read -r bf_token <"$bf_kept/watch"; } && [ "$bf_token" = "$1" ]; do
        if [ "$bf_nap" -le 0 ] || [ -e "$bf_kept/undo" ] || ! kill -0 "$$"; then
            bf_network_undo
            return
        fi
        sleep 1
        bf_nap=$((bf_nap - 1))
    done
}

# bf_network_undo: puts back what was before. Which profiles differ is known only until they are equal again.
bf_network_undo() {
    bf_network_differs "$bf_kept" "${BF_ROOT-}"
    bf_profiles "${BF_ROOT-}" "$bf_kept"
    while IFS= read -r bf_file; do
        [ -z "$bf_file" ] || bf_restore "$bf_kept$bf_file" "${BF_ROOT-}$bf_file"
    done <<EOS
$bf_found
EOS
    bf_network_start
    bf_state_drop network/undo network/watch
}

# bf_network_up NEW OLD: brings up the profiles below NEW that differ from those below OLD, and ours that are not up; sets
# bf_down to those that cannot be.
bf_network_up() {
    bf_network_differs "$1" "$2"
    bf_network_start
    [ "$bf_init" = systemd ] || return 0
    bf_active=$(nmcli -t -f UUID connection show --active)
    for bf_pair in $bf_ours; do
        case "$bf_newline$bf_active$bf_newline$bf_down" in
        *"$bf_newline${bf_pair#*=}$bf_newline"* | *" ${bf_pair%%=*} "*) ;;
        *) bf_up "$bf_pair" ;;
        esac
    done
} >/dev/null 2>&1

# bf_network_differs NEW OLD: sets bf_changed to NAME=UUID of the profiles below NEW that are not the same below OLD, and
# bf_ours to that of all which Bootforge wrote: nics first, then bonds, VLANs, bridges. Routes are their nic's.
bf_network_differs() {
    bf_changed='' bf_ours=''
    bf_profiles "$1"
    for bf_kind in ethernet bond vlan bridge; do
        while IFS= read -r bf_file; do
            [ -n "$bf_file" ] || continue
            bf_profile "$1$bf_file"
            [ "$bf_type:${bf_uuid:+known}" = "$bf_kind:known" ] || continue
            [ -z "$bf_mine" ] || bf_ours="$bf_ours $bf_name=$bf_uuid"
            for bf_part in "$bf_file" "$bf_scripts/route-$bf_name" "$bf_scripts/route6-$bf_name"; do
                [ -e "$1$bf_part" ] || [ -e "$2$bf_part" ] || continue
                cmp -s "$1$bf_part" "$2$bf_part" && continue
                bf_changed="$bf_changed $bf_name=$bf_uuid"
                break
            done
        done <<EOS
$bf_found
EOS
    done
}

# bf_profile FILE: sets bf_name, bf_uuid, bf_type (ethernet, bond, vlan, bridge) and bf_mine of a profile.
bf_profile() {
    bf_name=${1##*/} bf_uuid='' bf_type='' bf_mine=''
    bf_name=${bf_name#ifcfg-}
    bf_name=${bf_name%.nmconnection}
    while IFS= read -r bf_line || [ -n "$bf_line" ]; do
        case $bf_line in
        '# Written by Bootforge'*) bf_mine=1 ;;
        uuid=* | UUID=*) [ -n "$bf_uuid" ] || bf_uuid=${bf_line#*=} ;;
        type=ethernet | type=802-3-ethernet | TYPE=*Ethernet*) bf_type=ethernet ;;
        type=bond | TYPE=*Bond*) bf_type=bond ;;
        type=vlan | TYPE=*Vlan*) bf_type=vlan ;;
        type=bridge | TYPE=*Bridge*) bf_type=bridge ;;
        esac
    done <"$1"
    bf_uuid=${bf_uuid#[\'\"]}
    bf_uuid=${bf_uuid%[\'\"]}
}

# bf_network_start: has the files read and brings up bf_changed. The scripts of EL5 and EL6 bring up all or nothing that
# holds together: who depends on whom only they know.
bf_network_start() {
    bf_down=' '
    if [ "$bf_init" = systemd ]; then
        bf_within 60 nmcli connection reload
        for bf_pair in $bf_changed; do
            bf_up "$bf_pair"
        done
    else
        bf_within 120 service network restart || bf_down=' network '
    fi
}

# bf_up NAME=UUID
bf_up() {
    bf_within 60 nmcli --wait 45 connection up uuid "${1#*=}" || bf_down="$bf_down${1%%=*} "
}

# bf_all_answer: whether all of bf_reached answer; sets bf_word to one that does not.
bf_all_answer() {
    for bf_word in $bf_reached; do
        bf_answers "$bf_word" || return 1
    done
}

# bf_answers ADDRESS: whether a router answers a ping, or a server a request, whatever it says.
bf_answers() {
    case $1 in
    http*)
        if bf_has curl; then
            curl -s -k -m 3 -o /dev/null "$1"
        else
            wget -q -T 3 -t 1 -O /dev/null "$1" || [ $? -eq 8 ]
        fi
        ;;
    *:*) if bf_has ping6; then ping6 -c 1 -W 2 "$1"; else ping -c 1 -W 2 "$1"; fi ;;
    *) ping -c 1 -W 2 "$1" ;;
    esac >/dev/null 2>&1
}
