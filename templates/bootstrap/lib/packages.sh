# Where packages come from, and which there are. rpm is asked once for many names; yum or dnf is started only when there
# is something to do, or to look for newer packages.

# bf_rpm ARG...: rpm, by its path, because busybox has one of its own, which its shell would take.
bf_rpm() {
    case ${bf_rpm_path-} in
    '')
        bf_rpm_path=rpm bf_ifs=$IFS IFS=:
        for bf_place in $PATH; do
            [ ! -x "$bf_place/rpm" ] || { bf_rpm_path=$bf_place/rpm && break; }
        done
        IFS=$bf_ifs
        ;;
    esac
    LC_ALL=C "$bf_rpm_path" "$@"
}

# bf_rpm_keys (FILE FINGERPRINTS)...: rpm's database has the keys of each FILE. It calls a key by the last eight digits of
# its fingerprint, rpm 6 by all of them.
bf_rpm_keys() {
    bf_keys=$(bf_rpm -q --qf '%{VERSION}\n' gpg-pubkey 2>/dev/null)
    while [ $# -ge 2 ]; do
        bf_lacks=
        for bf_key in $2; do
            bf_has=
            for bf_one in $bf_keys; do
                case $bf_one:$bf_key in
                ????????*:*"$bf_one") bf_has=1 ;;
                esac
            done
            [ -n "$bf_has" ] || bf_lacks=1
        done
        [ -z "$bf_lacks" ] || bf_act "${1##*/} imported" bf_rpm --import "${BF_ROOT-}$1" || return 1
        shift 2
    done
}

# bf_repos_purge FILE...: no other .repo files. Nothing is removed while one of FILE is not there, so that no host is left
# without any.
bf_repos_purge() {
    bf_ours=" $* "
    for bf_one in "$@"; do
        if [ -z "$bf_dry" ] && [ ! -s "${BF_ROOT-}$bf_one" ]; then
            bf_fail "$bf_one is not there, so that nothing is removed"
            return
        fi
    done
    set +f
    set -- "${BF_ROOT-}"/etc/yum.repos.d/*.repo
    set -f
    for bf_one in "$@"; do
        bf_one=${bf_one#"${BF_ROOT-}"}
        case $bf_ours in
        *" $bf_one "*) ;;
        *) bf_absent "$bf_one" || return 1 ;;
        esac
    done
}

# bf_module NAME STREAM: the stream is enabled. Another that is enabled already stays, and the step fails: packages would
# have to go from one to the other, which can break what they serve.
bf_module() {
    bf_stream='' bf_enabled=''
    if [ -r "${BF_ROOT-}/etc/dnf/modules.d/$1.module" ]; then
        while IFS='= ' read -r bf_word bf_value; do
            case $bf_word:$bf_value in
            stream:*) bf_stream=$bf_value ;;
            state:enabled) bf_enabled=1 ;;
            esac
        done <"${BF_ROOT-}/etc/dnf/modules.d/$1.module"
    fi
    if [ -n "$bf_enabled" ]; then
        [ "$bf_stream" != "$2" ] || return 0
        bf_fail "$1:$bf_stream is enabled; 'dnf module switch-to $1:$2' changes it, and its packages"
        return
    fi
    bf_change "$1:$2" || return 0
    bf_ask 600 dnf -y module enable "$1:$2" || bf_because "$1:$2"
}

# bf_packages TOOL DIGEST PRESENT LATEST ABSENT: those packages are there, at the newest that the repositories offer, or not
# there; by one transaction of TOOL, which is yum, dnf or dnf5. DIGEST stands for the other arguments: when all was right of
# these, and rpm's database is older, nothing is asked. Newer packages are looked for once a day. --only looks always.
bf_packages() {
    bf_tool=$1 bf_digest=$2 bf_present="$3 $4" bf_newest=$4 bf_unwanted=$5
    bf_look='' bf_old=''
    if [ -n "$bf_newest" ]; then
        [ -z "$bf_only" ] && [ -n "$(find "$bf_state/ok/latest" -mmin -1440 2>/dev/null)" ] && bf_past latest || bf_look=1
    fi
    if [ -z "$bf_look$bf_only" ] && bf_settled; then return 0; fi
    bf_installed || return 1
    if [ -n "$bf_look" ]; then bf_outdated || return 1; fi
    if [ -n "$bf_missing$bf_old$bf_surplus" ]; then
        bf_whole_of_it="${bf_missing:+, install$bf_missing}${bf_old:+, update$bf_old}"
        bf_along
        bf_whole_of_it="$bf_whole_of_it${bf_surplus:+, remove$bf_surplus}${bf_dragged:+ and what needs it:$bf_dragged}"
        bf_change "${bf_whole_of_it#, }" || return 0
        bf_transaction || return 1
        bf_installed || return 1
        if [ -n "$bf_missing$bf_surplus" ]; then
            bf_because "${bf_missing:+still not there:$bf_missing}${bf_surplus:+ still there:$bf_surplus}"
            return
        fi
    fi
    [ -z "$bf_dry" ] || return 0
    bf_state_rename ok/packages.new ok/packages
    [ -z "$bf_look" ] || bf_state_put ok/latest
    return 0
}

# bf_settled: whether all was right of the same packages after rpm's database was last written. A database of the same
# second counts as newer, because not every shell sees fractions.
bf_settled() {
    { read -r bf_line <"$bf_state/ok/packages"; } 2>/dev/null || return 1
    [ "$bf_line" = "$bf_digest" ] && bf_past packages || return 1
    bf_seen=
    for bf_one in var/lib/rpm usr/lib/sysimage/rpm; do
        for bf_db in Packages rpmdb.sqlite rpmdb.sqlite-wal; do
            bf_db=${BF_ROOT-}/$bf_one/$bf_db
            [ -e "$bf_db" ] || continue
            # shellcheck disable=SC3013 # every shell that we run under has it
            [ "$bf_state/ok/packages" -nt "$bf_db" ] || return 1
            bf_seen=1
        done
    done
    [ -n "$bf_seen" ]
}

# bf_past NAME: whether ok/NAME is of a time that has been: a clock that was set back would have it newer than whatever
# happens for a long time. Files of /proc are of the time at which they are first looked at.
bf_past() {
    # shellcheck disable=SC3013 # every shell that we run under has it
    [ ! "$bf_state/ok/$1" -nt "/proc/$$/stat" ]
}

# bf_installed: sets bf_missing and bf_surplus by what rpm says now. A name that no package has may be what one provides.
bf_installed() {
    [ -n "$bf_dry" ] || bf_state_put ok/packages.new "$bf_digest"
    bf_missing='' bf_surplus=''
    # shellcheck disable=SC2086 # names of packages have no blanks
    bf_lacking 'is not installed' $bf_present $bf_unwanted || return 1
    for bf_one in $bf_present; do
        case $bf_lacked in
        *" $bf_one "*) bf_missing="$bf_missing $bf_one" ;;
        esac
    done
    for bf_one in $bf_unwanted; do
        case $bf_lacked in
        *" $bf_one "*) ;;
        *) bf_surplus="$bf_surplus $bf_one" ;;
        esac
    done
    [ -n "$bf_missing" ] || return 0
    # shellcheck disable=SC2086
    bf_lacking 'no package provides' --whatprovides $bf_missing || return 1
    bf_missing=${bf_lacked%" "}
}

# bf_lacking WORDS ARG...: sets bf_lacked to names for which rpm -q ARG... says WORDS, with blanks around each. Whatever else
# it says than that, or that a package is there, is an error: of a database that cannot be read nothing must follow.
bf_lacking() {
    bf_lacked=' ' bf_words=$1
    shift
    bf_said=$(bf_rpm -q --qf 'is there\n' "$@" 2>&1)
    bf_lines=0
    while IFS= read -r bf_line; do
        bf_lines=$((bf_lines + 1))
        case $bf_line in
        'is there') ;;
        "package "*" $bf_words")
            bf_line=${bf_line#package }
            bf_lacked="$bf_lacked${bf_line%" $bf_words"} "
            ;;
        "$bf_words "*) bf_lacked="$bf_lacked${bf_line##* } " ;;
        *)
            bf_fail "rpm says: $bf_line"
            return
            ;;
        esac
    done <<EOS
$bf_said
EOS
    [ "$bf_lines" -ge $# ] || [ "$1 $bf_lines" = "--whatprovides $(($# - 1))" ] || bf_fail "rpm answers for $bf_lines of $# names"
}

# bf_outdated: sets bf_old to those of bf_newest for which there is a newer package. --check asks what is known already
# (-C): it neither fetches metadata nor keeps any.
bf_outdated() {
    bf_have=
    for bf_one in $bf_newest; do
        case "$bf_missing " in
        *" $bf_one "*) ;;
        *) bf_have="$bf_have $bf_one" ;;
        esac
    done
    [ -n "$bf_have" ] || return 0
    # shellcheck disable=SC2086
    bf_ask 600 "$bf_tool" -q ${bf_dry:+-C} check-update $bf_have
    case $?:$bf_dry in
    0:*) return 0 ;;
    100:*) ;;
    *:)
        bf_because "newer packages cannot be looked for"
        return
        ;;
    *)
        bf_note "not known without metadata whether there are newer:$bf_have"
        return 0
        ;;
    esac
    while read -r bf_word _; do
        case $bf_word in
        Obsoleting) break ;;
        esac
        case "$bf_have " in
        *" $bf_word "* | *" ${bf_word%.*} "*) bf_old="$bf_old ${bf_word%.*}" ;;
        esac
    done <<EOS
$bf_answer
EOS
}

# bf_along: sets bf_dragged to what needs bf_surplus, and what needs that. When something is installed as well, it may take
# their place, and only the tool knows.
bf_along() {
    bf_dragged=
    [ -n "$bf_surplus" ] && [ -z "$bf_missing" ] || return 0
    # shellcheck disable=SC2086
    while ! bf_said=$(bf_rpm -e --test --allmatches $bf_surplus $bf_dragged 2>&1); do
        bf_more=
        while IFS= read -r bf_line; do
            case $bf_line in
            *" is needed by (installed) "*) ;;
            *) continue ;;
            esac
            case "$bf_dragged$bf_more " in
            *" ${bf_line##* } "*) ;;
            *) bf_more="$bf_more ${bf_line##* }" ;;
            esac
        done <<EOS
$bf_said
EOS
        [ -n "$bf_more" ] || break
        bf_dragged="$bf_dragged$bf_more"
    done
}

# bf_transaction: one transaction. dnf keeps its hands off what is wanted, and off what nothing needs any more, which may
# be wanted as well: it is removed by those who want it removed. yum does neither unless told.
#
# The shells of yum and dnf go on after an error, so the same lines are tried without 'run' first: a package must not be
# removed when that which takes its place is not to be had. 'exit' ends the trial, and nothing is said yes to: dnf would
# run what is left when its script ends.
bf_transaction() {
    bf_options=
    if [ "$bf_tool" != yum ]; then
        # What is said here takes the place of dnf's own list, so that is said as well (dnf.conf(5)).
        bf_options="--setopt=clean_requirements_on_remove=False --setopt=protected_packages=$bf_tool"
        bf_options="$bf_options,glob:/etc/yum/protected.d/*.conf,glob:/etc/dnf/protected.d/*.conf"
        for bf_one in $bf_present; do bf_options="$bf_options,$bf_one"; done
    fi
    # shellcheck disable=SC2086
    if [ "$bf_tool" = dnf5 ]; then
        set -- 'do' ${bf_missing:+--action=install $bf_missing} ${bf_old:+--action=upgrade $bf_old}
        set -- "$@" ${bf_surplus:+--action=remove $bf_surplus}
    elif [ -z "$bf_surplus" ]; then
        set -- install $bf_missing $bf_old
    elif [ -z "$bf_missing$bf_old" ]; then
        set -- remove $bf_surplus
    else
        bf_lines="remove$bf_surplus${bf_newline}install$bf_missing$bf_old"
        bf_try='ts list'
        [ "$bf_tool" = dnf ] || bf_try='ts solve'
        bf_shell "$bf_try"
        case $?:$bf_answer in
        [!0]* | *Error:* | *"No match for argument"* | *"No package "*)
            bf_because "the transaction cannot be made"
            return
            ;;
        esac
        bf_options="$bf_options -y"
        bf_shell run
        case $bf_answer in
        *Complete!*) return 0 ;;
        esac
        bf_because "the transaction failed"
        return
    fi
    # shellcheck disable=SC2086
    bf_ask 1800 "$bf_tool" -y $bf_options "$@" || bf_because "$bf_tool $1"
}

# bf_shell LAST: bf_lines and LAST for the tool's shell; sets bf_answer.
bf_shell() {
    # shellcheck disable=SC2086
    bf_ask 1800 "$bf_tool" $bf_options shell /proc/self/fd/0 <<EOS
$bf_lines
$1
exit
EOS
}

# bf_ask SECONDS COMMAND...: sets bf_answer to what COMMAND says.
bf_ask() {
    bf_seconds=$1
    shift
    bf_hear bf_within "$bf_seconds" env LC_ALL=C "$@"
    set -- "$?"
    bf_answer=$bf_said
    return "$1"
}

# bf_because WHAT: fails with those lines of bf_answer that say why; without such, with the last.
bf_because() {
    bf_why='' bf_last=''
    while IFS= read -r bf_line; do
        bf_line=${bf_line#"${bf_line%%[! ]*}"}
        [ -z "$bf_line" ] || bf_last=$bf_line
        case $bf_line in
        *'rror: '[!\ ]* | *"No match "* | *"No package "* | *roblem*:* | "- "* | *ailing\ package*) ;;
        *) continue ;;
        esac
        case $bf_why in
        *"$bf_line"*) ;;
        *) [ "${#bf_why}" -gt 300 ] || bf_why="$bf_why; $bf_line" ;;
        esac
    done <<EOS
$bf_answer
EOS
    bf_fail "$1${bf_why:-; $bf_last}"
}
