# What changes a machine. Nothing else in the bootstrap writes: files by bf_put, everything that is not a file by
# bf_act. Both ask bf_change first, which is where --check ends and where handlers are marked.

# bf_change WHAT: whether WHAT is to be changed now. With --check it is only told; else the handlers that the step owes
# are marked before anything is touched.
bf_change() {
    bf_note "$1"
    if [ -n "$bf_dry" ]; then
        # A step that only tells owes nothing when the others are at work.
        [ -z "$bf_check" ] || bf_due="$bf_due $bf_notify"
        bf_status=would
        return 1
    fi
    # shellcheck disable=SC2086 # names of handlers have no blanks
    if ! bf_owe $bf_notify; then
        bf_note "its handlers cannot be marked" && bf_status=failed
        return 1
    fi
    [ "$bf_status" = failed ] || bf_status=changed
}

# bf_act WHAT COMMAND...: changes what is not a file. COMMAND is run, for two minutes at most, unless bf_change says no.
# What it says when it fails is told.
bf_act() {
    bf_change "$1" || return 0
    shift
    bf_hear bf_within 120 "$@" && return 0
    bf_status=failed
    bf_note "failed: ${bf_said##*"$bf_newline"}"
    return 1
}

# bf_hear COMMAND...: sets bf_said to what COMMAND says. What it leaves running, as a daemon that an init script starts,
# may keep its output open for ever: a line of our own is the end, and nobody waits for another, as some sed and awk
# would. An interrupt from the terminal, to which what is started with & is deaf, waits for COMMAND: else the lock would
# be gone before it.
bf_hear() {
    bf_said=$(
        trap '' INT
        # By exec: what a redirected function had, its shell would keep, and we would wait for that.
        (exec 2>&1 3>&- && "$@"; echo "${bf_newline}bf-ended $?") | while IFS= read -r bf_line; do
            printf '%s\n' "$bf_line"
            case $bf_line in "bf-ended "*) break ;; esac
        done
    )
    set -- "${bf_said##*"$bf_newline"bf-ended }"
    bf_said=${bf_said%"$bf_newline"bf-ended *}
    bf_said=${bf_said%"$bf_newline"}
    case $1 in
    '' | *[!0-9]*) return 1 ;;
    esac
    return "$1"
}

# bf_within SECONDS COMMAND...: COMMAND, ended when it takes longer; EL5 has no timeout(1). Its standard input comes by
# way of file 4: dash has turned that of what it starts with & to /dev/null before it looks at <&0. Who watches it looks
# every second, and is ended by KILL: mksh loses a TERM that comes at once, trapped or not.
bf_within() {
    bf_seconds=$1
    shift
    { "$@" <&4 4<&- & } 4<&0
    bf_child=$!
    (
        exec >/dev/null 2>&1 3>&- </dev/null
        while kill -0 "$bf_child"; do
            [ "$bf_seconds" -ne 0 ] || kill -TERM "$bf_child"
            [ "$bf_seconds" -ne -10 ] || kill -KILL "$bf_child"
            bf_seconds=$((bf_seconds - 1))
            sleep 1
        done
    ) &
    bf_watch=$!
    wait "$bf_child" 2>/dev/null
    bf_ended=$?
    kill -KILL "$bf_watch" 2>/dev/null && wait "$bf_watch" 2>/dev/null
    return "$bf_ended"
}

# bf_put PATH MODE OWNER <CONTENT: makes PATH a file of that content, mode (octal, no leading zero) and owner
# (USER:GROUP), or leaves it alone if it is that already. A reader sees the old file or the new one, never a part. Never
# at the end of a pipe: bf_status would be lost with the subshell. BF_ROOT is prefixed.
bf_put() {
    bf_path=${BF_ROOT-}$1 bf_mode=$2 bf_owner=$3
    bf_content=$(cat && echo .) || return 1
    bf_content=${bf_content%.}
    bf_same=
    if [ -f "$bf_path" ] && [ ! -L "$bf_path" ] && printf %s "$bf_content" | cmp -s - "$bf_path"; then
        [ "$(stat -c '%a %U:%G' "$bf_path")" != "$bf_mode $bf_owner" ] || return 0
        bf_same=1
    elif [ -d "$bf_path" ] && [ ! -L "$bf_path" ]; then
        bf_fail "$1 is a directory"
        return
    fi
    bf_straight "$1" || return
    [ -z "$bf_diff" ] || [ -n "$bf_same" ] || bf_show "$1"
    bf_change "$1${bf_same:+ (mode, owner)}" || return 0
    bf_new=${bf_path%/*}/.${bf_path##*/}.bf-new
    if mkdir -p "${bf_path%/*}/" && bf_backup "$bf_path" "$1" && rm -f "$bf_new" &&
        (umask 077 && set -C && bf_fill 5>"$bf_new") && bf_replace "$bf_new" "$bf_path"; then
        return 0
    fi
    rm -f "$bf_new"
    bf_fail "$1 could not be written"
} 2>/dev/null

# bf_fill 5>NEW: bf_content, owner, mode and label go into the new file by its descriptor. Whoever owns the directory
# may put another in the place of the name at any time: one that was there is not opened (set -C), and a device or FIFO
# that is opened nevertheless is no empty file of root's, 8180 in stat's raw mode.
bf_fill() {
    [ "$(stat -L -c '%f %s %h %u' /proc/self/fd/5)" = '8180 0 1 0' ] && printf %s "$bf_content" >&5 &&
        chown "$bf_owner" /proc/self/fd/5 && chmod "$bf_mode" /proc/self/fd/5 && bf_label "$bf_path" /proc/self/fd/5
}

# bf_straight PATH: fails when a link on the way to bf_path is not root's: its owner would have root write elsewhere.
bf_straight() {
    bf_rest=${bf_path#/} bf_at=
    while :; do
        case $bf_rest in
        */*) ;;
        *) return 0 ;;
        esac
        bf_at=$bf_at/${bf_rest%%/*} bf_rest=${bf_rest#*/}
        [ ! -L "$bf_at" ] || [ "$(stat -c %u "$bf_at")" = 0 ] || break
    done
    bf_fail "$1: on the way there ${bf_at#"${BF_ROOT-}"} is a link that is not root's"
}

# bf_replace NEW PATH: mv(1) would put NEW into the directory that a link leads to.
bf_replace() {
    [ ! -d "$2" ] || rm -f "$2" || return 1
    mv -f "$1" "$2"
}

# bf_show PATH: how bf_content differs from what is there, for --diff. What not everybody may read is not shown.
bf_show() {
    case $bf_mode in
    *[4567]) ;;
    *)
        bf_say "diff$bf_tab$bf_tab$bf_id$bf_tab$1: not shown, because not everybody may read it"
        return 0
        ;;
    esac
    bf_was=$bf_path
    [ -f "$bf_was" ] || bf_was=/dev/null
    printf %s "$bf_content" | diff -u -L "$1" -L "$1" "$bf_was" - | while IFS= read -r bf_line; do
        bf_say "diff$bf_tab$bf_tab$bf_id$bf_tab$bf_line"
    done
}

# bf_backup FILE NAME: keeps the last three of what stood at NAME.
bf_backup() {
    [ -f "$1" ] && [ ! -L "$1" ] || return 0
    bf_kept=${2#/}
    while :; do
        case $bf_kept in
        */*) bf_kept=${bf_kept%%/*}%${bf_kept#*/} ;;
        *) break ;;
        esac
    done
    while [ "${#bf_kept}" -gt 250 ]; do
        bf_kept=${bf_kept#????????}
    done
    bf_kept=$bf_state/backup/$bf_kept
    [ ! -e "$bf_kept.2" ] || mv -f "$bf_kept.2" "$bf_kept.3" || return 1
    [ ! -e "$bf_kept.1" ] || mv -f "$bf_kept.1" "$bf_kept.2" || return 1
    cp -p "$1" "$bf_kept.1"
}

# bf_label PATH NEW: gives NEW the SELinux label that PATH will need; where SELinux is off, nothing.
bf_label() {
    [ -e /sys/fs/selinux/enforce ] || [ -e /selinux/enforce ] || return 0
    bf_context=$(matchpathcon -n "$1" 2>/dev/null) && chcon "$bf_context" "$2" 2>/dev/null
    return 0
}

# bf_directory PATH MODE OWNER: makes PATH a directory; what is in it is left alone.
bf_directory() {
    bf_path=${BF_ROOT-}$1
    if [ -e "$bf_path" ] || [ -L "$bf_path" ]; then
        if [ -L "$bf_path" ] || [ ! -d "$bf_path" ]; then
            bf_fail "$1 is no directory"
            return
        fi
        [ "$(stat -c '%a %U:%G' "$bf_path")" != "$2 $3" ] || return 0
    fi
    bf_straight "$1" || return
    bf_change "$1" || return 0
    # From inside: no link that takes its place meanwhile is followed.
    if mkdir -p "$bf_path" && (
        cd -P "$bf_path" && [ ! -L "$bf_path" ] && [ "$(stat -c '%d %i' "$bf_path")" = "$(stat -c '%d %i' .)" ] &&
            chown "$3" . && chmod "$2" . && bf_label "$bf_path" .
    ); then
        return 0
    fi
    bf_fail "$1 could not be made"
} 2>/dev/null

# bf_mount_point PATH: a directory is at PATH; its mode and owner are those of what will be mounted there.
bf_mount_point() {
    [ -d "${BF_ROOT-}$1" ] || mkdir -p "${BF_ROOT-}$1" || bf_fail "$1 could not be made"
} 2>/dev/null

# bf_link PATH TARGET: makes PATH a symbolic link to TARGET, also in place of a file, but never of a directory.
bf_link() {
    bf_path=${BF_ROOT-}$1
    [ ! -L "$bf_path" ] || [ "$(readlink "$bf_path")" != "$2" ] || return 0
    if [ -d "$bf_path" ] && [ ! -L "$bf_path" ]; then
        bf_fail "$1 is a directory"
        return
    fi
    bf_straight "$1" || return
    bf_change "$1" || return 0
    bf_new=${bf_path%/*}/.${bf_path##*/}.bf-new
    if mkdir -p "${bf_path%/*}/" && bf_backup "$bf_path" "$1" && rm -f "$bf_new" && ln -s "$2" "$bf_new" &&
        bf_replace "$bf_new" "$bf_path"; then
        return 0
    fi
    rm -f "$bf_new"
    bf_fail "$1 could not be made"
} 2>/dev/null

# bf_absent PATH: removes a file or link, or a directory that is empty.
bf_absent() {
    bf_path=${BF_ROOT-}$1
    [ -e "$bf_path" ] || [ -L "$bf_path" ] || return 0
    bf_straight "$1" || return
    bf_change "$1 (removed)" || return 0
    if [ -d "$bf_path" ] && [ ! -L "$bf_path" ]; then
        rmdir "$bf_path" || bf_fail "$1 is a directory that is not empty"
    elif ! bf_backup "$bf_path" "$1" || ! rm -f "$bf_path"; then
        bf_fail "$1 could not be removed"
    fi
} 2>/dev/null

# bf_copy FROM TO: TO becomes a copy of a file that may be no text, with its mode, owner and time. By bf_act, or where
# the change has been marked already. Whole paths.
bf_copy() {
    bf_new=${2%/*}/.${2##*/}.bf-new
    if rm -f "$bf_new" && cp -p "$1" "$bf_new" && bf_label "$2" "$bf_new" && bf_replace "$bf_new" "$2"; then
        return 0
    fi
    rm -f "$bf_new"
    return 1
}

# bf_restore KEPT PATH: PATH becomes what it was when KEPT was made of it: a file like it, or none. As bf_copy.
bf_restore() {
    if [ ! -f "$1" ]; then
        rm -f "$2"
    elif ! cmp -s "$1" "$2"; then
        bf_copy "$1" "$2"
    fi
}

# bf_home PATH OWNER: makes PATH a home, from /etc/skel, whole or not at all. By bf_act. A whole path.
bf_home() {
    bf_new=${1%/*}/.${1##*/}.bf-new
    mkdir -p "${1%/*}/" && rm -rf "$bf_new" && mkdir -m 700 "$bf_new" || return
    [ ! -d "${BF_ROOT-}/etc/skel" ] || cp -R "${BF_ROOT-}/etc/skel/." "$bf_new/" || return
    chown -R "$2" "$bf_new" && chmod 700 "$bf_new" && mv "$bf_new" "$1" || return
    ! command -v restorecon >/dev/null 2>&1 || restorecon -R "$1" || true
}

# bf_to_kernel FILE VALUE: a setting below /proc or /sys, by bf_act.
bf_to_kernel() {
    printf '%s\n' "$2" >"$1"
}
