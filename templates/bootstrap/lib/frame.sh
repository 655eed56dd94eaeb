# The frame: arguments, the order of steps, the report. POSIX sh without `local`; variables begin with bf_.

bf_main() {
    bf_phase=run bf_check='' bf_revision='' bf_exit=0 bf_file=$0
    while [ $# -gt 0 ]; do
        case $1 in
        --check) bf_check=1 ;;
        --phase | --revision)
            [ $# -gt 1 ] || bf_usage "$1 takes a value"
            case $1 in
            --phase) bf_phase=$2 ;;
            --revision) bf_revision=$2 ;;
            esac
            shift
            ;;
        *) bf_usage "unknown argument $1" ;;
        esac
        shift
    done
    case $bf_phase in
    install | run) ;;
    *) bf_usage "no phase '$bf_phase'; phases are install and run" ;;
    esac
    bf_steps
    return "$bf_exit"
}

bf_usage() {
    echo "bootstrap: $1" >&2
    exit 2
}

# bf_step ID PHASE... -- FUNCTION ARG...: runs one step if the phase is one of its own, and reports it.
# The function sets bf_status to ok, changed or would, and bf_text to what is worth saying; it fails by its status.
bf_step() {
    bf_id=$1 bf_wanted=''
    shift
    while [ "$1" != -- ]; do
        [ "$1" != "$bf_phase" ] || bf_wanted=1
        shift
    done
    shift
    [ -n "$bf_wanted" ] || return 0
    bf_status=ok bf_text='' bf_begun=$(bf_now)
    if ! "$@"; then
        bf_status=failed bf_exit=5
    elif [ "$bf_status" = would ] && [ "$bf_exit" -eq 0 ]; then
        bf_exit=1
    fi
    printf '%s\t%s\t%s\t%s\n' "$bf_status" "$(($(bf_now) - bf_begun))" "$bf_id" "$bf_text"
}

# bf_now: milliseconds since boot, from /proc/uptime, because date has no fractions everywhere.
bf_now() {
    { read -r bf_uptime </proc/uptime; } 2>/dev/null || bf_uptime=0.00
    bf_uptime=${bf_uptime%% *}
    bf_whole=${bf_uptime%.*} bf_part=${bf_uptime#*.}0
    bf_part=${bf_part%"${bf_part#???}"}
    while [ "${bf_part#0}" != "$bf_part" ] && [ ${#bf_part} -gt 1 ]; do bf_part=${bf_part#0}; done
    echo "$((bf_whole * 1000 + bf_part))"
}
