# iSCSI: targets and sessions. Node records are files that are written here directly: iscsiadm takes a secret on its command
# line only, where everybody can read it. Sessions are begun, never ended.

# bf_sessions: sets bf_open to a line 'TARGET ADDRESS:PORT IFACE' for each session. The portal is the one that was asked:
# an EqualLogic sends each session on to another. The kernel tells what it was given; where it does not know the iface,
# as in EL5, iscsiadm is asked, which from 2.1 on calls an iface with a MAC address tcp.MAC.ipv4.0.
bf_sessions() {
    bf_open=$bf_newline
    set +f
    set -- "${BF_ROOT-}"/sys/class/iscsi_session/session*
    set -f
    if [ -e "$1/ifacename" ]; then
        for bf_entry in "$@"; do
            bf_portal=${BF_ROOT-}/sys/class/iscsi_connection/connection${bf_entry##*/session}:0
            { read -r bf_target <"$bf_entry/targetname" && read -r bf_word <"$bf_entry/ifacename" &&
                read -r bf_value <"$bf_portal/persistent_address" && read -r bf_rest <"$bf_portal/persistent_port" &&
                bf_open="$bf_open$bf_target $bf_value:$bf_rest $bf_word$bf_newline"; } 2>/dev/null
        done
        return 0
    fi
    bf_answer=$(bf_within 60 iscsiadm -m session -P 1 2>/dev/null)
    while read -r bf_word bf_value bf_rest; do
        case $bf_word$bf_value in
        Target:*) bf_target=$bf_value ;;
        PersistentPortal:) bf_portal=${bf_rest%,*} ;;
        IfaceName:) bf_open="$bf_open$bf_target $bf_portal $bf_rest$bf_newline" ;;
        esac
    done <<EOS
$bf_answer
EOS
}

# bf_records: sets bf_found to a line 'TARGET ADDRESS:PORT IFACE FILE' for each node record of our ifaces.
bf_records() {
    bf_found=$bf_newline
    set +f
    set -- "${BF_ROOT-}$bf_db"/nodes/*/*,*,*/*
    set -f
    for bf_entry in "$@"; do
        case $bf_entry in
        *[\ \*$bf_tab$bf_newline]*) continue ;;
        esac
        bf_word=${bf_entry##*/} bf_rest=${bf_entry%/*}
        bf_portal=${bf_rest##*/} bf_target=${bf_rest%/*}
        bf_portal=${bf_portal%,*}
        case $bf_ifaces in
        *" $bf_word "*) bf_found="$bf_found${bf_target##*/} ${bf_portal%,*}:${bf_portal#*,} $bf_word $bf_entry$bf_newline" ;;
        esac
    done
}

# bf_iscsi_login CHAP_USER SECRET MUTUAL_USER MUTUAL_SECRET <PLAN: every target that the arrays have for this host has
# one session over each iface. PLAN has lines: set KEY VALUE, of node records; volume DEVICE; path ARRAY IFACE KIND NIC MTU
# PORTALS TARGETS, where KIND is mac or device, PORTALS and TARGETS have commas, and no TARGETS are a dash: all that are
# found. What can be reached is logged in to, and then the step fails for the rest.
bf_iscsi_login() {
    bf_plan_of=$(cat)
    bf_wrong='' bf_ifaces=' ' bf_paths='' bf_keys='' bf_lacking='' bf_patience=0
    # After a boot a switch may not forward yet; waited for is once, not at each portal.
    [ "$bf_phase" != boot ] || bf_patience=${BF_SAN_TRIES:-15}
    bf_iscsi_db
    while read -r bf_word bf_value bf_rest; do
        case $bf_word in
        set) bf_keys="$bf_keys$bf_value $bf_rest$bf_newline" ;;
        volume) [ -e "${BF_ROOT-}$bf_value" ] || bf_lacking=1 ;;
        path)
            bf_paths="$bf_paths$bf_value $bf_rest$bf_newline"
            bf_ifaces="$bf_ifaces${bf_rest%% *} "
            ;;
        esac
    done <<EOS
$bf_plan_of
EOS
    bf_machine_nics
    bf_pay restart:iscsid
    bf_pay reconfigure:multipathd
    bf_start_iscsid
    bf_sessions
    bf_records
    bf_each_path bf_find_targets
    bf_records
    bf_strays
    bf_chap "$@" && bf_settings || return 1
    bf_missing=
    bf_each_path bf_log_in
    if [ -n "$bf_missing" ] && [ -z "$bf_dry" ]; then bf_sessions; fi
    [ -n "$bf_dry" ] || bf_each_path bf_count_sessions
    if [ -n "$bf_wrong" ]; then
        bf_fail "$bf_text${bf_text:+, }${bf_wrong#, }"
        return
    fi
    [ -n "$bf_dry" ] || [ ! -d "$bf_state/kept" ] || bf_state_drop kept
}

# bf_each_path FUNCTION: FUNCTION, for each path of the plan, with its words.
bf_each_path() {
    bf_left=$bf_paths
    while [ -n "$bf_left" ]; do
        bf_row=${bf_left%%"$bf_newline"*} bf_left=${bf_left#*"$bf_newline"}
        # shellcheck disable=SC2086 # words
        "$1" $bf_row
    done
}

# bf_start_iscsid: systemd starts it when it is asked for; the script of EL6 only when it is told to.
bf_start_iscsid() {
    [ "$bf_init" = sysv ] && [ -z "$bf_dry" ] || return 0
    bf_within 60 service iscsid status >/dev/null 2>&1 && return 0
    bf_within 60 service iscsid force-start >/dev/null 2>&1 3>&- || bf_within 60 service iscsid start >/dev/null 2>&1 3>&-
    return 0
}

# bf_find_targets ARRAY IFACE KIND NIC MTU PORTALS TARGETS: asks the array for its targets when one that is planned, or a
# volume, is missing, or there is none. It is asked over the iface, once frames of the whole MTU come through.
bf_find_targets() {
    bf_known=
    bf_of_path "$2" "$6" "$7"
    [ -z "$bf_mine" ] || bf_known=1
    for bf_word in $(bf_words_of "$7"); do
        case $bf_mine in
        *"$bf_newline$bf_word "*) ;;
        *) bf_known='' ;;
        esac
    done
    if [ -n "$bf_known" ] && [ -z "$bf_lacking" ]; then return 0; fi
    bf_change "targets of $1 over $2" || return 0
    bf_reaches "$@" || return 0
    for bf_portal in $(bf_words_of "$bf_reached"); do
        bf_hear bf_within 60 iscsiadm -m discovery -t sendtargets -p "$bf_portal" -I "$2" -o new </dev/null && return 0
    done
    bf_wrong="$bf_wrong, $1 tells no targets over $2: ${bf_said##*"$bf_newline"}"
}

# bf_words_of LIST: prints what has commas between as words; nothing of a dash.
bf_words_of() {
    [ "$1" != - ] || return 0
    bf_ifs=$IFS IFS=,
    # shellcheck disable=SC2086
    set -- $1
    IFS=$bf_ifs
    echo "$*"
}

# bf_of_path IFACE PORTALS TARGETS: sets bf_mine to those lines of bf_found that belong to a path; to nothing if none do.
bf_of_path() {
    bf_mine=$bf_newline
    while read -r bf_target bf_portal bf_word bf_entry; do
        [ "$bf_word" = "$1" ] || continue
        case ,$2, in
        *",$bf_portal,"*) ;;
        *) continue ;;
        esac
        case ,$3, in
        ,-, | *",$bf_target,"*) bf_mine="$bf_mine$bf_target $bf_portal $bf_word $bf_entry$bf_newline" ;;
        esac
    done <<EOS
$bf_found
EOS
    [ "$bf_mine" != "$bf_newline" ] || bf_mine=
}

# bf_reaches ARRAY IFACE KIND NIC MTU PORTALS: sets bf_reached to those portals that answer over the iface's nic when
# they are sent frames of the whole MTU that nobody may cut (28 bytes are IP's and ICMP's); fails when there is none.
bf_reaches() {
    bf_reached='' bf_why=''
    bf_through=$4
    if [ "$3" = mac ]; then
        bf_nic_of "$4"
        bf_through=$bf_nic
    fi
    for bf_gate in $(bf_words_of "$6"); do
        bf_address=${bf_gate%:*} bf_there=1
        while ! bf_pings "$5"; do
            if [ "$bf_patience" -le 0 ]; then
                bf_there=''
                break
            fi
            bf_patience=$((bf_patience - 1))
            sleep 2
        done
        if [ -n "$bf_there" ]; then
            bf_reached="$bf_reached,$bf_gate"
        elif bf_pings 84; then
            bf_why="$bf_why, $2 ($bf_through) reaches $1 at $bf_address, but not with frames of $5 bytes"
        else
            bf_why="$bf_why, $1 at $bf_address does not answer over $2 ($bf_through)"
        fi
    done
    bf_reached=${bf_reached#,}
    [ -z "$bf_reached" ] || return 0
    case $bf_wrong in
    *"$bf_why"*) ;;
    *) bf_wrong="$bf_wrong$bf_why" ;;
    esac
    return 1
}

# bf_pings SIZE: whether bf_address answers a packet of SIZE bytes through bf_through.
bf_pings() {
    bf_program ping
    bf_within 10 "$bf_run" -I "$bf_through" -M 'do' -s "$(($1 - 28))" -c 1 -W 2 "$bf_address" </dev/null >/dev/null 2>&1
}

# bf_strays: removes records of our ifaces for portals that they are not planned for, as of the other fabric; one that has
# a session is left and told.
bf_strays() {
    while read -r bf_target bf_portal bf_word bf_entry; do
        [ -n "$bf_target" ] || continue
        bf_stray=1
        bf_each_path bf_is_planned
        [ -n "$bf_stray" ] || continue
        case $bf_open in
        *"$bf_newline$bf_target $bf_portal $bf_word$bf_newline"*)
            bf_note "$bf_target at $bf_portal has a session over $bf_word, which is not planned"
            ;;
        *)
            bf_act "no $bf_target at $bf_portal over $bf_word" iscsiadm -m node -T "$bf_target" -p "$bf_portal" \
                -I "$bf_word" -o delete </dev/null
            ;;
        esac
    done <<EOS
$bf_found
EOS
    [ -n "$bf_dry" ] || bf_records
}

bf_is_planned() {
    [ "$2" = "$bf_word" ] || return 0
    case ,$6, in
    *",$bf_portal,"*) bf_stray= ;;
    esac
}

# bf_chap USER SECRET MUTUAL_USER MUTUAL_SECRET: adds CHAP to bf_keys. Without the secrets records keep what they have.
bf_chap() {
    bf_secrets_lack=
    [ -n "$1" ] || return 0
    if ! bf_secret "$2"; then
        bf_secrets_lack=$2
        return 0
    fi
    bf_keys="${bf_keys}node.session.auth.authmethod CHAP${bf_newline}node.session.auth.username $1$bf_newline"
    bf_keys="${bf_keys}node.session.auth.password $bf_value$bf_newline"
    [ -n "$3" ] || return 0
    if ! bf_secret "$4"; then
        bf_fail "secret $4 not given, but $2"
        return
    fi
    bf_keys="${bf_keys}node.session.auth.username_in $3$bf_newline"
    bf_keys="${bf_keys}node.session.auth.password_in $bf_value$bf_newline"
}

# bf_keep_secrets NAME...: what came with the install is kept for the first boot, with which nothing comes, until
# bf_iscsi_login has it in its records and everybody is logged in.
bf_keep_secrets() {
    for bf_word in "$@"; do
        if ! bf_secret "$bf_word"; then
            bf_note "secret $bf_word not given"
            continue
        fi
        { IFS= read -r bf_line <"$bf_state/kept/$bf_word"; } 2>/dev/null || bf_line=
        if [ "$bf_line" != "$bf_value" ] && bf_change "secret $bf_word"; then
            bf_state_keep "$bf_word" "$bf_value" || return 1
        fi
    done
}

# bf_settings: every record of our ifaces has the keys. iscsid.conf is a template for new ones only.
bf_settings() {
    set --
    while read -r bf_target bf_portal bf_word bf_entry; do
        [ -z "$bf_entry" ] || set -- "$@" "$bf_entry"
    done <<EOS
$bf_found
EOS
    [ $# -gt 0 ] || return 0
    bf_differ=$(bf_keys=$bf_keys awk '
        BEGIN {
            count = split(ENVIRON["bf_keys"], line, "\n")
            for (i = 1; i <= count; i++) if (at = index(line[i], " ")) {
                want[substr(line[i], 1, at - 1)] = substr(line[i], at + 1)
                keys++
            }
        }
        FNR == 1 { right = 0 }
        (at = index($0, " = ")) && (substr($0, 1, at - 1) in want) {
            right += substr($0, at + 3) "" == want[substr($0, 1, at - 1)] ""
        }
        /^# END RECORD/ && right != keys { print FILENAME }
    ' "$@") || return 1
    for bf_entry in $bf_differ; do
        bf_edited=$(bf_keys=$bf_keys awk '
            BEGIN {
                count = split(ENVIRON["bf_keys"], line, "\n")
                for (i = 1; i <= count; i++) if (at = index(line[i], " ")) {
                    want[order[++keys] = substr(line[i], 1, at - 1)] = substr(line[i], at + 1)
                }
            }
            (at = index($0, " = ")) && (substr($0, 1, at - 1) in want) {
                if (!done[key = substr($0, 1, at - 1)]++) print key " = " want[key]
                next
            }
            /^# END RECORD/ { for (i = 1; i <= keys; i++) if (!done[order[i]]) print order[i] " = " want[order[i]] }
            { print }
        ' "$bf_entry") || return 1
        bf_put "${bf_entry#"${BF_ROOT-}"}" 600 root:root <<EOS || return 1
$bf_edited
EOS
    done
}

# bf_log_in ARRAY IFACE KIND NIC MTU PORTALS TARGETS: a session for each record of the path that has none.
bf_log_in() {
    bf_of_path "$2" "$6" "$7"
    bf_reached=
    while read -r bf_target bf_portal bf_over bf_entry; do
        [ -n "$bf_target" ] || continue
        case $bf_open in
        *"$bf_newline$bf_target $bf_portal $bf_over$bf_newline"*) continue ;;
        esac
        bf_missing=1
        if [ -n "$bf_secrets_lack" ] && ! grep -q '^node.session.auth.password = ' "$bf_entry"; then
            bf_wrong="$bf_wrong, $bf_target needs the secret $bf_secrets_lack, which was not given"
            continue
        fi
        bf_change "$bf_target over $bf_over" || continue
        if [ -z "$bf_reached" ] && ! bf_reaches "$@"; then return 0; fi
        case ,$bf_reached, in
        *",$bf_portal,"*) ;;
        *) continue ;;
        esac
        bf_hear bf_within 60 iscsiadm -m node -T "$bf_target" -p "$bf_portal" -I "$bf_over" --login </dev/null
        case $? in
        0 | 15) ;;
        24) bf_wrong="$bf_wrong, $bf_target over $bf_over: the array does not accept this host's CHAP, or it the array's" ;;
        *) bf_wrong="$bf_wrong, $bf_target over $bf_over: ${bf_said##*"$bf_newline"}" ;;
        esac
    done <<EOS
$bf_mine
EOS
}

# bf_count_sessions ARRAY IFACE KIND NIC MTU PORTALS TARGETS: each target has one session over the iface at each portal.
bf_count_sessions() {
    bf_of_path "$2" "$6" "$7"
    case $bf_mine$bf_wrong in
    '') bf_wrong="$bf_wrong, $1 has no target for this host over $2: look at its access list" ;;
    esac
    while read -r bf_target bf_portal bf_word bf_entry; do
        [ -n "$bf_target" ] || continue
        bf_count=0
        while read -r bf_one bf_value bf_rest; do
            [ "$bf_one $bf_value $bf_rest" != "$bf_target $bf_portal $bf_word" ] || bf_count=$((bf_count + 1))
        done <<EOS
$bf_open
EOS
        case $bf_count:$bf_wrong in
        1:*) ;;
        0:) bf_wrong="$bf_wrong, $bf_target has no session over $bf_word" ;;
        0:*) ;;
        *) bf_wrong="$bf_wrong, $bf_target has $bf_count sessions over $bf_word" ;;
        esac
    done <<EOS
$bf_mine
EOS
}
