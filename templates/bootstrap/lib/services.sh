# Services and processes.

# bf_services (NAME STATE)...: each service is on (enabled and running), off (disabled and stopped), enabled, running or
# masked. In phase install nothing runs, and only what happens at boot is set.
bf_services() {
    bf_wrong=0 bf_count=$(($# / 2)) bf_names='' bf_odd=''
    # A unit that this run wrote is the old one to systemd until it has read it again.
    bf_pay daemon-reload
    for bf_word in "$@"; do
        if [ -z "$bf_odd" ]; then bf_names="$bf_names $bf_word" bf_odd=1; else bf_odd=''; fi
    done
    bf_enabled='' bf_active=''
    case $bf_init in
    systemd) bf_ask_systemd ;;
    *) bf_ask_sysv ;;
    esac
    while [ $# -ge 2 ]; do
        bf_service "$1" "$2" "${bf_enabled%% *}" "${bf_active%% *}" || bf_wrong=1
        bf_enabled=${bf_enabled#* } bf_active=${bf_active#* }
        shift 2
    done
    return "$bf_wrong"
}

# bf_service NAME STATE ENABLED ACTIVE
bf_service() {
    case $2:$3 in
    off:missing | masked:missing) return 0 ;;
    *:missing)
        # A package that would be installed may bring it.
        [ -n "$bf_dry" ] && [ "$bf_would" -gt 0 ] && ! bf_change "$1" && return 0
        bf_note "there is no service $1"
        return 1
        ;;
    on:masked | enabled:masked) bf_act "$1 unmasked" systemctl unmask "$1" && bf_turn enable enabled "$1" ;;
    on:disabled | enabled:disabled | on:partly | enabled:partly) bf_turn enable enabled "$1" ;;
    off:enabled | off:partly) bf_turn disable disabled "$1" ;;
    masked:masked) ;;
    masked:*) bf_turn mask masked "$1" ;;
    esac || return 1
    case $2:$4 in
    on:inactive | running:inactive) bf_turn start started "$1" ;;
    off:active | masked:active) bf_turn stop stopped "$1" ;;
    esac
}

# bf_turn ACTION DONE NAME
bf_turn() {
    bf_act "$3 $2" "bf_turn_$bf_init" "$1" "$3"
}

bf_turn_systemd() {
    systemctl "$1" "$2"
}

# What an init script starts may keep its output open for ever.
bf_turn_sysv() {
    case $1 in
    enable) chkconfig --add "$2" && chkconfig "$2" on ;;
    disable) chkconfig "$2" off ;;
    *) service "$2" "$1" >/dev/null 2>&1 3>&- || { echo "service $2 $1 fails" && false; } ;;
    esac
}

# bf_ask_systemd: sets bf_enabled and bf_active to a word for each of bf_names. Older systemctl stops at the first unit
# that it does not know, and any tells scripts of /etc/init.d first: then each is asked about by itself.
bf_ask_systemd() {
    bf_alone=
    for bf_word in $bf_names; do
        [ ! -e "${BF_ROOT-}/etc/init.d/$bf_word" ] || bf_alone=1
    done
    bf_ask_all is-enabled
    for bf_word in $bf_answers; do
        case $bf_word in
        enabled) ;;
        enabled-runtime) bf_word=partly ;;
        disabled | linked | linked-runtime) bf_word=disabled ;;
        masked | masked-runtime) bf_word=masked ;;
        not-found | missing) bf_word=missing ;;
        # static, indirect, generated, alias: what enabling would leave as it is.
        *) bf_word=settled ;;
        esac
        bf_enabled="$bf_enabled$bf_word "
    done
    [ "$bf_phase" != install ] || return 0
    bf_ask_all is-active
    for bf_word in $bf_answers; do
        case $bf_word in
        active | reloading | refreshing | activating) bf_word=active ;;
        *) bf_word=inactive ;;
        esac
        bf_active="$bf_active$bf_word "
    done
}

# bf_ask_all QUESTION: sets bf_answers to systemctl's answers about each of bf_names.
bf_ask_all() {
    bf_question=$1
    if [ -z "$bf_alone" ]; then
        # shellcheck disable=SC2086 # names and answers have no blanks
        bf_answers=$(systemctl "$bf_question" $bf_names 2>/dev/null)
        # shellcheck disable=SC2086
        set -- $bf_answers
        [ $# -ne "$bf_count" ] || return 0
    fi
    bf_answers=
    for bf_word in $bf_names; do
        bf_answer=$(systemctl "$bf_question" "$bf_word" 2>/dev/null)
        bf_answer=${bf_answer##*"$bf_newline"}
        bf_answers="$bf_answers ${bf_answer:-missing}"
    done
}

# bf_ask_sysv: the same of chkconfig and the scripts. chkconfig's 'on' and 'off' are about levels 2 to 5; a machine
# starts in 3 or 5.
bf_ask_sysv() {
    bf_table=$bf_newline$(LC_ALL=C chkconfig --list 2>/dev/null)
    for bf_word in $bf_names; do
        bf_row=
        case $bf_table in
        *"$bf_newline$bf_word"[\ "$bf_tab"]*)
            bf_row=${bf_table#*"$bf_newline$bf_word"[\ "$bf_tab"]}
            bf_row=${bf_row%%"$bf_newline"*}
            ;;
        esac
        bf_runs=unknown
        if [ ! -e "${BF_ROOT-}/etc/init.d/$bf_word" ]; then
            bf_enabled="${bf_enabled}missing "
        else
            case $bf_row in
            *3:on*5:on*) bf_enabled="${bf_enabled}enabled " ;;
            *[2345]:on*) bf_enabled="${bf_enabled}partly " ;;
            *) bf_enabled="${bf_enabled}disabled " ;;
            esac
            if [ "$bf_phase" != install ]; then
                bf_within 60 service "$bf_word" status >/dev/null 2>&1 3>&-
                # As the LSB has it: 1 and 2 died, 3 is not running; anything else says nothing.
                case $? in
                0) bf_runs=active ;;
                [123]) bf_runs=inactive ;;
                esac
            fi
        fi
        bf_active="$bf_active$bf_runs "
    done
}

# bf_processes NAME...: no process of any of these names runs. One that does is told to end, and ended after 10 seconds.
bf_processes() {
    bf_unwanted=" $* "
    bf_find_processes
    [ -z "$bf_pids" ] || bf_act "ended:$bf_running" bf_end_processes
}

# bf_end_processes: whatever is found, until nothing is.
bf_end_processes() {
    # shellcheck disable=SC2086 # process ids
    kill -TERM $bf_pids 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        bf_find_processes
        [ -n "$bf_pids" ] || return 0
        sleep 1
    done
    bf_find_processes
    # shellcheck disable=SC2086 # process ids
    [ -z "$bf_pids" ] || kill -KILL $bf_pids 2>/dev/null
    sleep 1
    bf_find_processes
    [ -z "$bf_pids" ] || { echo "still there:$bf_running" && false; }
}

# bf_find_processes: sets bf_pids and bf_running to the processes of bf_unwanted names and to those names. The name is in
# brackets and may hold anything (proc(5)); EL5's kernel has no comm.
bf_find_processes() {
    bf_pids='' bf_running=''
    set +f
    for bf_entry in "${BF_ROOT-}"/proc/[0-9]*/stat; do
        { IFS= read -r bf_line <"$bf_entry"; } 2>/dev/null || continue
        bf_comm=${bf_line#*\(}
        bf_comm=${bf_comm%)*}
        case $bf_comm in
        '' | *[!A-Za-z0-9_.:+@-]*) continue ;;
        esac
        case $bf_unwanted in
        *" $bf_comm "*) ;;
        *) continue ;;
        esac
        # A zombie has ended, and its parent knows it not yet.
        case ${bf_line##*\) } in
        [ZX]*) continue ;;
        esac
        bf_pids="$bf_pids ${bf_line%% *}"
        case "$bf_running " in
        *" $bf_comm "*) ;;
        *) bf_running="$bf_running $bf_comm" ;;
        esac
    done
    set -f
}
