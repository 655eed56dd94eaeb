# What a run remembers, below /var/lib/bootforge (0700): pending/ handlers that are owed, backup/ the last three of each
# file that was replaced, report of the newest run, ok/ what was found right, and the lock. --check makes and changes nothing.

# bf_open_state: the directory and the lock; file 3 is the report that will be kept. Exits 75 when another run has it.
bf_open_state() {
    if [ ! -d "$bf_state/pending" ] || [ ! -d "$bf_state/backup" ] || [ ! -d "$bf_state/ok" ]; then
        (umask 077 && mkdir -p "$bf_state/pending" "$bf_state/backup" "$bf_state/ok") || exit 5
    fi
    bf_lock || exit "$bf_ended"
    trap bf_unlock EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # A disk that is full must not keep a run from telling why it fails.
    { exec 3>"$bf_state/report"; } 2>/dev/null || exec 3>/dev/null
}

# bf_close_state: the report is whole, and is sent where somebody waits for it.
bf_close_state() {
    exec 3>&-
    if [ "$bf_phase" = boot ]; then
        [ ! -s "$bf_state/server" ] || cp "$bf_state/report" "$bf_state/unsent" 2>/dev/null
        # 1 is no failure: a step that only tells found a difference.
        [ "$bf_exit" -gt 1 ] || rm -f "$bf_state/first-boot"
    fi
    [ ! -s "$bf_state/unsent" ] || [ "$bf_phase" = install ] || bf_send
    bf_unlock
}

# bf_send: the report of the first boot goes to the server that installed the host. One that cannot be sent is kept for
# the next run; what becomes of it never changes the exit status.
bf_send() {
    [ -s "$bf_state/server" ] && read -r bf_server <"$bf_state/server" || return 0
    bf_outcome=booted
    grep -q "^end${bf_tab}[0-9]*${bf_tab}[01]${bf_tab}" "$bf_state/unsent" || bf_outcome=boot-failed
    if bf_post "$bf_server/report/$bf_outcome" "$bf_state/unsent" 30 2 >/dev/null 2>&1; then
        rm -f "$bf_state/unsent"
        [ "$bf_outcome" != booted ] || rm -f "$bf_state/server"
    fi
}

# bf_state_put NAME [LINE]: a file of state, of one line or empty.
bf_state_put() {
    printf %s "${2+$2$bf_newline}" >"$bf_state/$1"
} 2>/dev/null

# bf_state_keep NAME LINE: a secret, for bf_secret of a run with which it does not come.
bf_state_keep() {
    (umask 077 && mkdir -p "$bf_state/kept" && bf_state_put "kept/$1" "$2")
} 2>/dev/null

# bf_state_rename FROM TO: a file of state that was not to count before takes the place of another.
bf_state_rename() {
    mv -f "$bf_state/$1" "$bf_state/$2"
} 2>/dev/null

# bf_state_drop NAME...: files and directories of state.
bf_state_drop() {
    for bf_dropped in "$@"; do
        rm -rf "${bf_state:?}/$bf_dropped" || return 1
    done
} 2>/dev/null

# bf_state_mount NAME, bf_state_unmounted NAME: an empty directory of state, to mount something on for a moment.
bf_state_mount() {
    [ -d "$bf_state/$1" ] || (umask 077 && mkdir "$bf_state/$1")
} 2>/dev/null
bf_state_unmounted() {
    rmdir "$bf_state/$1"
} 2>/dev/null

# bf_state_copy NAME FILE LINE <PATHS: the directory NAME of state becomes copies of the files that PATHS has, one a
# line, with their directories, and FILE, which says LINE. Whole, or not at all.
bf_state_copy() {
    bf_copies=$bf_state/$1.new
    rm -rf "$bf_copies" && (umask 077 && mkdir -p "$bf_copies") || return 1
    while IFS= read -r bf_copied; do
        [ -n "$bf_copied" ] || continue
        (umask 077 && mkdir -p "$bf_copies${bf_copied%/*}") || return 1
        cp -p "${BF_ROOT-}$bf_copied" "$bf_copies$bf_copied" || return 1
    done
    bf_state_put "$1.new/$2" "$3" && bf_state_drop "$1" && bf_state_rename "$1.new" "$1"
} 2>/dev/null

# bf_lock: one run at a time. The lock is a symbolic link, which is made with what it says and where none is, or not at
# all, also on a full disk. It says who made it; what a dead process left is taken over.
bf_lock() {
    bf_process "$$"
    bf_me=$bf_known
    for _ in 1 2 3; do
        if ln -s "$bf_me" "$bf_state/lock" 2>/dev/null; then return 0; fi
        bf_holder=$(readlink "$bf_state/lock") || continue
        bf_process "${bf_holder%% *}"
        if [ "$bf_known" = "$bf_holder" ]; then
            echo "bootstrap: locked by the process ${bf_holder%% *}, which is at it already" >&2
            bf_ended=75
            return 1
        fi
        bf_stale=$bf_state/lock.$$
        mv "$bf_state/lock" "$bf_stale" 2>/dev/null || continue
        bf_moved=$(readlink "$bf_stale")
        rm -f "$bf_stale"
        # Somebody else was faster in taking it over, and it is theirs.
        [ "$bf_moved" = "$bf_holder" ] || ln -s "$bf_moved" "$bf_state/lock" 2>/dev/null
    done
    echo "bootstrap: $bf_state/lock cannot be made" >&2
    bf_ended=5
    return 1
}

# bf_process PID: sets bf_known to the process, its start since boot, and the boot; to nothing when there is no such
# process. The name of a process is in brackets and may hold anything; the start is the 20th word after it (proc(5)).
bf_process() {
    bf_known=
    { read -r bf_words <"/proc/$1/stat"; } 2>/dev/null || return 0
    { read -r bf_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || bf_boot=unknown
    # shellcheck disable=SC2086
    set -- "$1" ${bf_words##*) }
    shift 20
    bf_known="${bf_words%% *} $1 $bf_boot"
}

bf_unlock() {
    rm -f "$bf_state/lock"
    trap - EXIT
}

# bf_secret NAME: sets bf_value to a secret that came with this run; fails when it did not come. Secrets are lines of
# their own files in the directory of --secrets, or what bf_keep_secrets left of them.
bf_secret() {
    bf_value=
    # shellcheck disable=SC2034 # the steps read it
    { IFS= read -r bf_value <"${bf_secrets:-/nowhere}/$1" || IFS= read -r bf_value <"$bf_state/kept/$1"; } 2>/dev/null
}

# Handlers: what a change owes, as a file in pending/ that is made before the change and removed when the handler has
# succeeded. A run that fails or is killed loses none; what phase install leaves, the first boot finds.

# bf_owe NAME...: marks handlers as owed.
bf_owe() {
    for bf_name in "$@"; do
        [ "$bf_name" != network ] || bf_network_keep || return 1
        [ -e "$bf_state/pending/$bf_name" ] || { true >"$bf_state/pending/$bf_name"; } 2>/dev/null || return 1
    done
}

# bf_handlers: runs what is owed, each once, in the order of their kinds; with --check they are told.
bf_handlers() {
    [ -n "$bf_check" ] || [ -d "$bf_state/pending" ] || return 0
    set +f
    # shellcheck disable=SC2086 # names of handlers have no blanks
    set -- "$bf_state"/pending/* $bf_due
    set -f
    for bf_kind in daemon-reload trust sysctl modules initramfs grub network relabel firewall reconfigure reload restart \
        run; do
        bf_last=
        for bf_name in "$@"; do
            bf_name=${bf_name##*/}
            case ${bf_name%%:*}:$bf_last in
            "$bf_kind:$bf_name") ;;
            "$bf_kind":*)
                bf_last=$bf_name
                bf_handler "$bf_name"
                ;;
            esac
        done
    done
}

# bf_handler NAME
bf_handler() {
    [ "$1" != network ] || bf_network_due || return 0
    if [ -n "$bf_check" ]; then
        [ "$bf_exit" -ne 0 ] || bf_exit=1
        bf_tell would 0 "handler:$1" ''
        return 0
    fi
    case $bf_phase:$bf_kind in
    install:trust | install:initramfs | install:grub) ;;
    install:*)
        bf_tell skipped 0 "handler:$1" 'left to the first boot'
        return 0
        ;;
    esac
    bf_clock
    bf_begun=$bf_time bf_text=''
    if bf_hear bf_do_handler "$1" && rm -f "$bf_state/pending/$1"; then
        bf_status=changed
    else
        bf_status=failed bf_text=${bf_said##*"$bf_newline"}
        [ "$bf_exit" -eq 5 ] || bf_exit=6
    fi
    bf_clock
    bf_tell "$bf_status" "$((bf_time - bf_begun))" "handler:$1" "$bf_text"
}

# bf_pay HANDLER: what is owed is done now, because what the step does next needs it.
bf_pay() {
    [ -z "$bf_dry" ] && [ "$bf_phase" != install ] && [ -e "$bf_state/pending/$1" ] || return 0
    bf_do_handler "$1" >/dev/null 2>&1 && rm -f "$bf_state/pending/$1" && bf_tell changed 0 "handler:$1" ''
    return 0
}

# bf_do_handler NAME: NAME is KIND or KIND:WHAT.
bf_do_handler() {
    case $bf_init:$1 in
    *:run:*) bf_command "${1#*:}" ;;
    *:network) bf_network ;;
    *:reconfigure:multipathd) bf_multipath_reconfigure ;;
    *:initramfs) bf_initramfs ;;
    *:relabel) bf_relabel ;;
    *:grub) bf_grub_config ;;
    *:daemon-reload) bf_within 60 systemctl daemon-reload ;;
    *:trust | *:trust:enable) bf_update_trust "$1" ;;
    systemd:restart:*) bf_within 300 systemctl try-restart "${1#*:}" ;;
    systemd:reload:*) bf_within 300 systemctl reload-or-try-restart "${1#*:}" ;;
    sysv:*:*) bf_sysv "${1%%:*}" "${1#*:}" ;;
    *) echo "there is no handler $1" && false ;;
    esac
}

# bf_sysv ACTION NAME: restarts or reloads a service that runs, and starts none.
bf_sysv() {
    bf_within 60 service "$2" status >/dev/null 2>&1 || return 0
    bf_within 300 service "$2" "$1"
}
