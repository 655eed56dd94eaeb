# The frame: arguments, the order of steps, the report. POSIX sh without `local`: every variable begins with bf_, and
# what a function needs after it has called another it keeps under a name that only it uses.

# bf_main ARG...: the whole run. Its exit status is the script's.
bf_main() {
    bf_phase=run bf_check='' bf_diff='' bf_json='' bf_careful='' bf_revision='' bf_only='' bf_secrets='' bf_matched='' bf_apply=''
    bf_bad=' ' bf_whole='' bf_due='' bf_exit=0
    bf_changed=0 bf_would=0 bf_failed=0
    bf_state=${BF_ROOT-}/var/lib/bootforge
    set -f
    umask 022
    # A login without a shell's profile, as by SSH, may know no sbin; and what tools say is read.
    [ -n "${BF_ROOT-}" ] || PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
    LC_ALL=C
    export PATH LC_ALL
    # Whoever started this may go away: what was begun is ended, and told in the report that is kept.
    trap '' HUP PIPE
    bf_arguments "$@"
    bf_describe
    if [ -n "$bf_json" ]; then
        bf_run | bf_as_json
    else
        bf_run
    fi
}

bf_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --check) bf_check=1 ;;
        --diff) bf_diff=1 ;;
        --json) bf_json=1 ;;
        --check-if-new) bf_careful=1 ;;
        --apply-network) bf_apply=1 ;;
        --phase | --revision | --only | --secrets)
            [ $# -gt 1 ] || bf_usage "$1 takes a value"
            case $1 in
            --phase) bf_phase=$2 ;;
            --revision) bf_revision=$2 ;;
            --only) bf_only="$bf_only $2" ;;
            --secrets) bf_secrets=$2 ;;
            esac
            shift
            ;;
        *) bf_usage "unknown argument $1" ;;
        esac
        shift
    done
    case $bf_phase in
    install | boot | run) ;;
    *) bf_usage "no phase '$bf_phase'; phases are install, boot and run" ;;
    esac
}

bf_usage() {
    echo "bootstrap: $1" >&2
    exit 2
}

# bf_run: every step of the phase, then the handlers, then what follows from how it went.
bf_run() {
    bf_clock
    bf_start=$bf_time
    if [ -n "$bf_careful" ] && [ ! -e "${BF_ROOT-}/etc/bootforge/stamp" ]; then bf_check=1; fi
    if [ -n "$bf_check" ]; then
        exec 3>/dev/null
    else
        bf_open_state
    fi
    bf_head="bootforge$bf_tab$bf_host$bf_tab$bf_phase$bf_tab${bf_check:+check}"
    bf_say "$bf_head$bf_tab${bf_revision:-unknown}$bf_tab$bf_plan"
    bf_steps
    if [ -n "$bf_only" ] && [ -z "$bf_matched" ]; then
        [ -n "$bf_check" ] || bf_unlock
        bf_usage "no step is named$bf_only"
    fi
    bf_handlers
    bf_clock
    bf_text="$bf_changed changed, $bf_would would change, $bf_failed failed"
    bf_say "end$bf_tab$((bf_time - bf_start))$bf_tab$bf_exit$bf_tab$bf_text"
    [ -n "$bf_check" ] || bf_close_state
    return "$bf_exit"
}

# bf_step ID PHASES FLAGS NEEDS NOTIFY: whether the step is to be done now; if not, that is reported where it is worth
# it. FLAGS: whole, all it makes is among bf_whole_files; watch, what differs is told and left as it is. NEEDS: steps or
# kinds of steps that must not have failed. NOTIFY: handlers that a change of it owes.
#
# The step's function follows. It changes things by bf_put, bf_act and their like only, which set bf_status to changed
# or would and bf_text to what is worth saying; it fails by its own status.
bf_step() {
    bf_id=$1 bf_notify=$5 bf_status=ok bf_text=''
    case " $2 " in
    *" $bf_phase "*) ;;
    *) return 1 ;;
    esac
    case "$bf_only " in
    ' ' | *" $1 "* | *" ${1%%:*} "*) bf_matched=1 ;;
    *) return 1 ;;
    esac
    for bf_need in $4; do
        case $bf_bad in
        *" $bf_need "*)
            bf_bad="$bf_bad$1 ${1%%:*} "
            bf_tell blocked 0 "$1" "$bf_need failed"
            return 1
            ;;
        esac
    done
    case $3 in
    *whole*)
        if bf_untouched; then
            bf_tell ok 0 "$1" ''
            return 1
        fi
        ;;
    esac
    bf_dry=$bf_check
    case $3 in
    *watch*) bf_dry=1 ;;
    esac
    bf_clock
    bf_begun=$bf_time
}

# bf_end STATUS: the step's function has returned STATUS.
bf_end() {
    [ "$1" -eq 0 ] || bf_status=failed
    case $bf_status in
    failed)
        bf_exit=5
        bf_bad="$bf_bad$bf_id ${bf_id%%:*} "
        ;;
    would) [ "$bf_exit" -ne 0 ] || bf_exit=1 ;;
    esac
    bf_clock
    bf_tell "$bf_status" "$((bf_time - bf_begun))" "$bf_id" "$bf_text"
}

# bf_fail TEXT: what a step's function returns when it cannot go on.
bf_fail() {
    bf_text=$1
    return 1
}

# bf_note TEXT: adds to what the step says.
bf_note() {
    bf_text="$bf_text${bf_text:+, }$1"
}

bf_tab='	'
bf_newline='
'

# bf_tell STATUS MILLISECONDS ID TEXT: one line of the report.
bf_tell() {
    case $1 in
    changed) bf_changed=$((bf_changed + 1)) ;;
    would) bf_would=$((bf_would + 1)) ;;
    failed) bf_failed=$((bf_failed + 1)) ;;
    esac
    case $4 in
    *[[:cntrl:]]*) bf_said=$(printf %s "$4" | tr '\001-\037\177' ' ') ;;
    *) bf_said=$4 ;;
    esac
    bf_say "$1$bf_tab$2$bf_tab$3$bf_tab$bf_said"
}

# bf_say LINE: to standard output and to the report that is kept.
bf_say() {
    printf '%s\n' "$1"
    printf '%s\n' "$1" >&3
} 2>/dev/null

# bf_clock: sets bf_time to milliseconds since boot, from /proc/uptime, because date has no fractions everywhere.
bf_clock() {
    bf_time=0
    { read -r bf_uptime _ </proc/uptime; } 2>/dev/null || return 0
    bf_time=$((${bf_uptime%.*} * 1000 + 1${bf_uptime#*.} * 10 - 1000))
}

# bf_untouched: whether every file and directory that the steps make whole is as it was rendered. Two processes tell for all of them,
# and nothing is remembered: without sha256sum the answer is no, and each step looks for itself.
bf_untouched() {
    if [ -z "$bf_whole" ]; then
        bf_whole=no
        if command -v sha256sum >/dev/null 2>&1 && bf_whole_files; then bf_whole=yes; fi
    fi
    [ "$bf_whole" = yes ]
}

# bf_intact SUM MODE OWNER PATH ...: whether each PATH is a file of that content, type and mode, and owner. MODE is what
# stat calls the raw mode, in hex, so that a link is never taken for a file; the SUM of a directory is a dash.
bf_intact() {
    bf_sums='' bf_stats='' bf_files=''
    while [ $# -ge 4 ]; do
        [ "$1" = - ] || bf_sums="$bf_sums$1  .$4$bf_newline"
        bf_stats="$bf_stats$2 $3 .$4$bf_newline"
        bf_files="$bf_files .$4"
        shift 4
    done
    # shellcheck disable=SC2086 # paths have no blanks, and nothing is a pattern
    bf_found=$(cd "${BF_ROOT:-/}" && exec stat -c '%f %U:%G %n' $bf_files 2>/dev/null) || return 1
    [ "$bf_found$bf_newline" = "$bf_stats" ] || return 1
    [ -z "$bf_sums" ] || (cd "${BF_ROOT:-/}" && exec sha256sum -c) >/dev/null 2>&1 <<EOS
${bf_sums%"$bf_newline"}
EOS
}

# bf_as_json: the report as JSON. The exit status is the run's.
bf_as_json() {
    awk -F '\t' '
        function quoted(text) {
            gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); gsub(/[\001-\037\177]/, "?", text)
            return "\"" text "\""
        }
        BEGIN { exit_status = 70 }
        $1 == "bootforge" {
            printf "{\"host\": %s, \"phase\": %s, \"check\": %s, ", quoted($2), quoted($3), $4 == "" ? "false" : "true"
            printf "\"revision\": %s, \"plan\": %s, \"steps\": [", quoted($5), quoted($6)
            next
        }
        $1 == "end" { exit_status = $3; next }
        $1 == "diff" { next }
        {
            printf "%s\n  {\"status\": %s, \"ms\": %d, \"step\": %s, \"text\": %s}", comma, quoted($1), $2, quoted($3), quoted($4)
            comma = ","
        }
        END { printf "],\n\"exit\": %d}\n", exit_status; exit exit_status }
    '
}
