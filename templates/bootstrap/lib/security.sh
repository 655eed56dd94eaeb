# What protects the system: SELinux and the firewall.

# bf_selinux MODE: for the next boot and, between enforcing and permissive, now. To and from disabled takes a boot; the
# distribution sees to it that a system that was without labels gets them first.
bf_selinux() {
    if [ ! -f "${BF_ROOT-}/etc/selinux/config" ]; then
        bf_note "there is no /etc/selinux/config"
        return 0
    fi
    bf_assign /etc/selinux/config SELINUX "$1" || return
    [ "$bf_phase" != install ] || return 0
    bf_enforcing
    case $1:$bf_is in
    enforcing:0) bf_act "enforcing now" bf_to_kernel "$bf_policy/enforce" 1 ;;
    permissive:1) bf_act "permissive now" bf_to_kernel "$bf_policy/enforce" 0 ;;
    enforcing:1 | permissive:0 | disabled:) ;;
    *) bf_note "$1 from the next boot on" ;;
    esac
}

# bf_enforcing: sets bf_policy to where the kernel shows its policy, and bf_is to 1, to 0, or to nothing where SELinux
# is disabled.
bf_enforcing() {
    bf_is=
    for bf_policy in "${BF_ROOT-}/sys/fs/selinux" "${BF_ROOT-}/selinux"; do
        { read -r bf_is <"$bf_policy/enforce" || [ -n "$bf_is" ]; } 2>/dev/null && return 0
    done
    return 0
}

# bf_booleans (NAME VALUE)...: of the policy, for good. The kernel shows each as its value and the one that is pending.
bf_booleans() {
    bf_enforcing
    [ -n "$bf_is" ] || { bf_note "SELinux is disabled" && return 0; }
    bf_wrong='' bf_wanted=''
    while [ $# -ge 2 ]; do
        bf_is=
        { read -r bf_is _ <"$bf_policy/booleans/$1" || [ -n "$bf_is" ]; } 2>/dev/null
        case $bf_is in
        "$2") ;;
        '') bf_wrong="$bf_wrong, the policy has no boolean $1" ;;
        *) bf_wanted="$bf_wanted $1=$2" ;;
        esac
        shift 2
    done
    # shellcheck disable=SC2086 # names and numbers
    [ -z "$bf_wanted" ] || bf_act "${bf_wanted# }" setsebool -P $bf_wanted || return
    [ -z "$bf_wrong" ] || bf_fail "$bf_text${bf_text:+, }${bf_wrong#, }"
}

# bf_contexts 'REGEX TYPE...': types of files. What was added on this host is read from the policy's own file; semanage
# changes it, and labels what is there already when every step is done.
bf_contexts() {
    # shellcheck disable=SC2086 # words
    set -- $1
    bf_recall selinux-contexts
    [ $# -gt 0 ] || [ "$bf_ours" != ' ' ] || return 0
    bf_enforcing
    [ -n "$bf_is" ] || { bf_note "SELinux is disabled" && return 0; }
    bf_types=targeted
    while IFS= read -r bf_line; do
        case $bf_line in
        SELINUXTYPE=*) bf_types=${bf_line#*=} ;;
        esac
    done <"${BF_ROOT-}/etc/selinux/config"
    bf_types=${BF_ROOT-}/etc/selinux/$bf_types/contexts/files/file_contexts.local
    bf_local=' '
    if [ -f "$bf_types" ]; then
        while read -r bf_pattern bf_context bf_more; do
            [ -n "$bf_more" ] || bf_local="$bf_local$bf_pattern ${bf_context#*:*:} "
        done <"$bf_types"
    fi
    bf_kept=' '
    for bf_word in "$@"; do
        bf_kept="$bf_kept$bf_word "
    done
    for bf_pattern in $bf_ours; do
        case $bf_kept$bf_newline$bf_local in
        *" $bf_pattern "*"$bf_newline"*) ;;
        *" $bf_pattern "*) bf_semanage "$bf_pattern" '' || return ;;
        esac
    done
    bf_kept=
    while [ $# -ge 2 ]; do
        case $bf_local in
        *" $1 $2 "* | *" $1 $2:"*) ;;
        *) bf_semanage "$1" "$2" || return ;;
        esac
        bf_kept="$bf_kept $1"
        shift 2
    done
    # shellcheck disable=SC2086 # patterns have no blanks, and set -f is on
    bf_remember selinux-contexts $bf_kept
}

# bf_semanage REGEX TYPE: without a TYPE the policy's own counts again.
bf_semanage() {
    if ! command -v semanage >/dev/null 2>&1; then
        bf_fail "semanage is not installed; it is in policycoreutils-python-utils, to EL7 in policycoreutils-python"
        return
    fi
    if [ -z "$2" ]; then
        bf_act "$1 (removed)" semanage fcontext -d "$1"
    else
        bf_act "$1 $2" bf_fcontext "$1" "$2"
    fi
}

# bf_fcontext REGEX TYPE: by bf_act.
bf_fcontext() {
    semanage fcontext -a -t "$2" "$1" >/dev/null 2>&1 || semanage fcontext -m -t "$2" "$1"
}

# bf_relabel: gives what stands below the literal beginning of each pattern of bf_contexts the label that it has now.
bf_relabel() {
    bf_recall selinux-contexts
    for bf_pattern in $bf_ours; do
        bf_top=$bf_pattern
        for bf_sign in "\\" . ^ '?' '*' + '|' '[' '(' '{'; do
            bf_top=${bf_top%%"$bf_sign"*}
        done
        case ${bf_pattern#"$bf_top"} in
        '' | '(/'*) ;;
        *) bf_top=${bf_top%/*} ;;
        esac
        if [ -n "$bf_top" ] && [ -e "${BF_ROOT-}$bf_top" ]; then
            restorecon -R "${BF_ROOT-}$bf_top" || return 1
        fi
    done
}

# bf_firewalld STATE WORD...: on or off, and services and ports that the default zone lets in, as service=http and
# port=80/tcp. They are added; only those that were ours before are taken away, so packages and people may add theirs.
bf_firewalld() {
    bf_state_wanted=$1
    shift
    if ! command -v firewall-offline-cmd >/dev/null 2>&1; then
        [ "$bf_state_wanted" = off ] || bf_fail "firewalld is not installed"
        return
    fi
    if [ "$bf_state_wanted" = on ]; then
        bf_zone_words || return
        bf_recall firewall
        bf_kept=" $* "
        for bf_rule in "$@"; do
            case $bf_let_in in
            *" $bf_rule "*) ;;
            *) bf_act "$bf_rule" bf_firewall_cmd "--zone=$bf_zone" "--add-$bf_rule" || return ;;
            esac
        done
        for bf_rule in $bf_ours; do
            case $bf_kept$bf_newline$bf_let_in in
            *" $bf_rule "*"$bf_newline"*) ;;
            *" $bf_rule "*)
                bf_act "$bf_rule (removed)" bf_firewall_cmd "--zone=$bf_zone" "--remove-$bf_rule" || return
                ;;
            esac
        done
        bf_remember firewall "$@" || return
    fi
    bf_daemon firewalld "$bf_state_wanted"
}

# bf_zone_words: sets bf_zone to firewalld's default zone, and bf_let_in to the services and ports it lets in, between
# blanks. Read from its files: asking firewalld takes a second.
bf_zone_words() {
    bf_zone=public bf_let_in=' ' bf_zone_file=''
    if [ -f "${BF_ROOT-}/etc/firewalld/firewalld.conf" ]; then
        while IFS= read -r bf_line; do
            case $bf_line in
            DefaultZone=?*) bf_zone=${bf_line#*=} ;;
            esac
        done <"${BF_ROOT-}/etc/firewalld/firewalld.conf"
    fi
    for bf_zone_file in "${BF_ROOT-}/etc/firewalld/zones" "${BF_ROOT-}/usr/lib/firewalld/zones" ''; do
        [ ! -f "$bf_zone_file/$bf_zone.xml" ] || break
    done
    if [ -z "$bf_zone_file" ]; then
        bf_fail "firewalld has no zone $bf_zone"
        return
    fi
    bf_xml=
    while IFS= read -r bf_line || [ -n "$bf_line" ]; do
        bf_xml="$bf_xml$bf_line "
    done <"$bf_zone_file/$bf_zone.xml"
    bf_depth=0
    IFS='<'
    # shellcheck disable=SC2086 # at each <
    set -- $bf_xml
    unset IFS
    for bf_element in "$@"; do
        case $bf_element in
        'rule>'* | 'rule '*) bf_depth=1 ;;
        /rule*) bf_depth=0 ;;
        esac
        case $bf_depth:$bf_element in
        0:'service '*)
            bf_word=${bf_element#* name=\"}
            bf_let_in="${bf_let_in}service=${bf_word%%\"*} "
            ;;
        0:'port '*)
            bf_word=${bf_element#* port=\"} bf_more=${bf_element#* protocol=\"}
            bf_let_in="${bf_let_in}port=${bf_word%%\"*}/${bf_more%%\"*} "
            ;;
        esac
    done
}

# bf_firewall_cmd OPTION...: firewalld's permanent configuration, by itself where it runs. Without it a service is
# taken from a zone by another name; --remove-service is what lokkit meant by it.
bf_firewall_cmd() {
    if [ "$bf_phase" != install ] && firewall-cmd --state >/dev/null 2>&1; then
        firewall-cmd --permanent "$@"
    else
        case $2 in
        --remove-service=*) set -- "$1" "--remove-service-from-zone=${2#*=}" ;;
        esac
        firewall-offline-cmd "$@"
    fi
}

# bf_daemon NAME on|off: a service of systemd, at boot and, outside an installer, now.
bf_daemon() {
    bf_is=$(systemctl is-enabled "$1" 2>/dev/null)
    case $2:$bf_is in
    on:enabled | off:disabled | off:masked | off:not-found | off:) ;;
    on:*) bf_act "$1 at boot" systemctl enable "$1" || return ;;
    off:*) bf_act "$1 not at boot" systemctl disable "$1" || return ;;
    esac
    [ "$bf_phase" != install ] || return 0
    bf_is=$(systemctl is-active "$1" 2>/dev/null)
    case $2:$bf_is in
    on:active | off:inactive | off:failed | off:unknown | off:) ;;
    on:*) bf_act "$1 now" systemctl start "$1" ;;
    off:*) bf_act "$1 not now" systemctl stop "$1" ;;
    esac
}

# bf_iptables STATE CHAIN WORD...: the firewall of EL5 and EL6, as their installers leave it: rules in a file, in
# CHAIN, the last of which refuses the rest. Each PORT/PROTOCOL of WORD... gets a rule before that one; rules that were
# ours before are taken away. A file that has no such chain is somebody else's work, and is left.
bf_iptables() {
    bf_state_wanted=$1 bf_chain=$2
    shift 2
    bf_tables=/etc/sysconfig/iptables
    if [ "$bf_state_wanted" = on ]; then
        if [ ! -f "${BF_ROOT-}$bf_tables" ] || ! grep -q "^-A $bf_chain .*-j REJECT" "${BF_ROOT-}$bf_tables"; then
            bf_note "$bf_tables has no rule of $bf_chain that refuses the rest; it is left alone"
            return 0
        fi
        bf_recall firewall
        bf_edited=$(bf_chain=$bf_chain bf_ports="$*" bf_gone=$bf_ours awk '
            function rule(port,  part) {
                split(port, part, "/")
                return "-A " chain " -m state --state NEW -m " part[2] " -p " part[2] " --dport " part[1] " -j ACCEPT"
            }
            BEGIN {
                chain = ENVIRON["bf_chain"]
                count = split(ENVIRON["bf_ports"], port, " ")
                left = split(ENVIRON["bf_gone"], gone, " ")
                for (i = 1; i <= left; i++) drop[rule(gone[i])] = 1
                for (i = 1; i <= count; i++) delete drop[rule(port[i])]
                while ((getline line < ARGV[1]) > 0) there[line] = 1
            }
            $0 in drop { next }
            !done && index($0, "-A " chain " ") == 1 && / -j REJECT/ {
                for (i = 1; i <= count; i++) if (!(rule(port[i]) in there)) print rule(port[i])
                done = 1
            }
            { print }
        ' "${BF_ROOT-}$bf_tables") || return 1
        bf_put $bf_tables 600 root:root <<EOS || return
$bf_edited
EOS
        bf_remember firewall "$@" || return
    fi
    bf_sysv_daemon iptables "$bf_state_wanted"
}

# bf_sysv_daemon NAME on|off: a service of System V's init, at boot and, outside an installer, now.
bf_sysv_daemon() {
    [ -e "${BF_ROOT-}/etc/rc.d/init.d/$1" ] || { bf_note "there is no service $1" && return 0; }
    bf_is=off
    set +f
    for bf_entry in "${BF_ROOT-}"/etc/rc.d/rc3.d/S[0-9][0-9]"$1"; do
        [ ! -L "$bf_entry" ] || bf_is=on
    done
    set -f
    [ "$bf_is" = "$2" ] || bf_act "$1 $2 at boot" chkconfig "$1" "$2" || return
    [ "$bf_phase" != install ] || return 0
    bf_is=off
    [ ! -e "${BF_ROOT-}/var/lock/subsys/$1" ] || bf_is=on
    case $2:$bf_is in
    on:off) bf_act "$1 now" service "$1" start ;;
    off:on) bf_act "$1 not now" service "$1" stop ;;
    esac
}
