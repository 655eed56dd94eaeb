# Settings of the system: sysctl, kernel modules and arguments, initramfs, time, language, cron.

# bf_assign PATH KEY VALUE [QUOTE]: makes KEY=VALUE the one line of its kind in a file of such lines, and leaves the
# others. QUOTE goes around a value that has blanks, or around any. A file that says it already is not touched.
bf_assign() {
    bf_value='' bf_times=0
    if [ -f "${BF_ROOT-}$1" ]; then
        while IFS= read -r bf_line || [ -n "$bf_line" ]; do
            case $bf_line in
            "$2="*)
                bf_value=${bf_line#*=} bf_times=$((bf_times + 1))
                bf_value=${bf_value#[\"\']} bf_value=${bf_value%[\"\']}
                ;;
            esac
        done <"${BF_ROOT-}$1"
    fi
    [ "$bf_times:$bf_value" != "1:$3" ] || return 0
    bf_old=/dev/null
    [ ! -f "${BF_ROOT-}$1" ] || bf_old=${BF_ROOT-}$1
    bf_edited=$(bf_key=$2 bf_line=$2=${4-}$3${4-} awk '
        index($0, ENVIRON["bf_key"] "=") == 1 { if (!done++) print ENVIRON["bf_line"]; next }
        { print }
        END { if (!done) print ENVIRON["bf_line"] }
    ' "$bf_old") || return 1
    bf_put "$1" 644 root:root <<EOS
$bf_edited
EOS
}

# bf_recall NAME: sets bf_ours to what bf_remember was last given for NAME, between blanks. What was ours and has left
# the site can be taken back only by who remembers it; /etc/bootforge/NAME does, a word to a line.
bf_recall() {
    bf_ours=' '
    [ -f "${BF_ROOT-}/etc/bootforge/$1" ] || return 0
    while IFS= read -r bf_line; do
        bf_ours="$bf_ours$bf_line "
    done <"${BF_ROOT-}/etc/bootforge/$1"
}

# bf_remember NAME WORD...: the words are ours from now on, and no others.
bf_remember() {
    bf_memory=/etc/bootforge/$1 bf_words=''
    shift
    if [ $# -eq 0 ]; then
        bf_absent "$bf_memory"
        return
    fi
    for bf_word in "$@"; do
        bf_words="$bf_words$bf_newline$bf_word"
    done
    bf_put "$bf_memory" 644 root:root <<EOS
${bf_words#?}
EOS
}

# bf_sysctl_block <LINES: EL5 reads /etc/sysctl.conf only, so what is ours is a block at its end.
bf_sysctl_block() {
    bf_lines=$(cat)
    [ -n "$bf_lines" ] || grep -q '^# Begin of what Bootforge wrote$' "${BF_ROOT-}/etc/sysctl.conf" 2>/dev/null || return 0
    bf_old=/dev/null
    [ ! -f "${BF_ROOT-}/etc/sysctl.conf" ] || bf_old=${BF_ROOT-}/etc/sysctl.conf
    bf_edited=$(awk '
        $0 == "# Begin of what Bootforge wrote" { ours = 1 }
        !ours { print }
        $0 == "# End of what Bootforge wrote" { ours = 0 }
    ' "$bf_old" && echo .) || return 1
    bf_edited=${bf_edited%.}
    [ -z "$bf_lines" ] || bf_edited="$bf_edited# Begin of what Bootforge wrote
$bf_lines
# End of what Bootforge wrote
"
    bf_put /etc/sysctl.conf 644 root:root <<EOS
${bf_edited%"$bf_newline"}
EOS
}

# bf_sysctl_live FILE VALUE...: the running kernel's settings, each by its file below /proc/sys. Values are compared
# word by word, because the kernel prints tabs. What it made of a value is read again: it may have made it another.
bf_sysctl_live() {
    bf_wrong=
    while [ $# -ge 2 ]; do
        bf_setting=${BF_ROOT-}/proc/sys/$1
        if [ ! -e "$bf_setting" ]; then
            bf_wrong="$bf_wrong, the kernel has no $1"
        elif ! bf_setting_is "$2"; then
            if [ -z "$bf_is_read" ]; then
                bf_wrong="$bf_wrong, $1 cannot be read"
            elif bf_act "$1 = $2 (was $bf_is)" bf_to_kernel "$bf_setting" "$2"; then
                [ -n "$bf_dry" ] || bf_setting_is "$2" || bf_wrong="$bf_wrong, the kernel made $bf_is of $1 = $2"
            fi
        fi
        shift 2
    done
    [ -z "$bf_wrong" ] || bf_fail "$bf_text${bf_text:+, }${bf_wrong#, }"
}

# bf_setting_is VALUE: whether bf_setting has it; sets bf_is to what it has, and bf_is_read if that can be read.
bf_setting_is() {
    bf_raw='' bf_is_read=''
    # Not by read: dash asks for one byte at a time, and /proc/sys answers only the first time.
    bf_raw=$(cat "$bf_setting" 2>/dev/null) && bf_is_read=1
    # shellcheck disable=SC2086 # to words
    set -- $1
    bf_should=$*
    # shellcheck disable=SC2086
    set -- $bf_raw
    bf_is=$*
    [ "$bf_is" = "$bf_should" ]
}

# bf_modules_live ACTION NAME...: loads modules (load) that are to be loaded at boot; tells of those (blacklist) that
# nothing may load and that are loaded nevertheless, which nobody but a person should take away under what uses them.
bf_modules_live() {
    bf_wrong='' bf_refused=''
    while [ $# -ge 2 ]; do
        bf_module=$2
        while :; do
            case $bf_module in
            *-*) bf_module=${bf_module%%-*}_${bf_module#*-} ;;
            *) break ;;
            esac
        done
        if [ -d "${BF_ROOT-}/sys/module/$bf_module" ]; then
            [ "$1" != blacklist ] || bf_note "$2 is loaded until the next boot"
        elif [ "$1" = load ] && ! bf_built_in "$bf_module"; then
            bf_act "$2" "${BF_ROOT-}/sbin/modprobe" "$2" || bf_refused=1
        fi
        shift 2
    done
    [ -z "$bf_refused" ]
}

# bf_built_in NAME: whether a module without parameters is a part of the running kernel: it has no directory in /sys.
bf_built_in() {
    { read -r bf_running <"${BF_ROOT-}/proc/sys/kernel/osrelease"; } 2>/dev/null || return 1
    bf_built=${BF_ROOT-}/lib/modules/$bf_running/modules.builtin
    [ -f "$bf_built" ] && sed 's/-/_/g' "$bf_built" | grep -q "/$1\\.ko"
}

# bf_initramfs: makes the initramfs of every installed kernel anew; in an installer the running kernel is another one.
# Of an image that is there already: what has none boots without. EL5 has mkinitrd, its successors dracut.
bf_initramfs() {
    set +f
    set -- "${BF_ROOT-}"/boot/initramfs-*.img "${BF_ROOT-}"/boot/initrd-*.img
    set -f
    bf_rebuilt=0
    for bf_image in "$@"; do
        bf_kernel=${bf_image##*/} bf_kernel=${bf_kernel#*-} bf_kernel=${bf_kernel%.img}
        if [ ! -f "$bf_image" ] || [ ! -d "${BF_ROOT-}/lib/modules/$bf_kernel" ]; then continue; fi
        if command -v dracut >/dev/null 2>&1; then
            bf_within 900 dracut -f "$bf_image" "$bf_kernel" || return 1
        else
            bf_within 900 mkinitrd -f "$bf_image" "$bf_kernel" || return 1
        fi
        bf_rebuilt=$((bf_rebuilt + 1))
    done
    [ "$bf_rebuilt" -gt 0 ] || { echo "no kernel has an initramfs in /boot" && false; }
}

# bf_kernel_args ARGS: every kernel of the boot loader has these arguments at its next boot, and none that were ours
# before. New kernels take those of the one that is the default; /etc/default/grub is for who makes grub.cfg anew.
bf_kernel_args() {
    # shellcheck disable=SC2086 # words
    set -- $1
    bf_recall kernel-args
    [ $# -gt 0 ] || [ "$bf_ours" != ' ' ] || return 0
    if ! command -v grubby >/dev/null 2>&1; then
        bf_fail "grubby is not installed"
        return
    fi
    bf_entries=$(grubby --info=ALL 2>/dev/null)
    bf_wanted=" $* " bf_missing=' ' bf_surplus=' ' bf_kernels=0
    while IFS= read -r bf_line; do
        case $bf_line in
        args=*)
            bf_line=${bf_line#args=} bf_line=${bf_line#\"} bf_line=" ${bf_line%\"} "
            bf_kernels=$((bf_kernels + 1))
            bf_args_differ "$@"
            ;;
        esac
    done <<EOS
$bf_entries
EOS
    if [ "$bf_kernels" -eq 0 ]; then
        bf_fail "grubby names no kernel"
        return
    fi
    bf_missing=${bf_missing# } bf_surplus=${bf_surplus# }
    bf_missing=${bf_missing% } bf_surplus=${bf_surplus% }
    if [ -n "$bf_missing$bf_surplus" ]; then
        bf_act "every kernel from the next boot on${bf_missing:+: with $bf_missing}${bf_surplus:+: without $bf_surplus}" \
            grubby --update-kernel=ALL ${bf_missing:+"--args=$bf_missing"} ${bf_surplus:+"--remove-args=$bf_surplus"} ||
            return 1
    fi
    bf_default_grub "$@" && bf_remember kernel-args "$@"
}

# bf_args_differ ARG...: adds to bf_missing and bf_surplus what bf_line, a kernel's arguments, lacks and has too much.
# An argument that has another value now is not taken away: grubby replaces it.
bf_args_differ() {
    for bf_word in "$@"; do
        case $bf_line$bf_newline$bf_missing in
        *" $bf_word "*) ;;
        *) bf_missing="$bf_missing$bf_word " ;;
        esac
    done
    for bf_word in $bf_ours; do
        case $bf_wanted$bf_newline$bf_surplus in
        *" $bf_word "* | *" ${bf_word%%=*}="*"$bf_newline"*) continue ;;
        esac
        case $bf_line in
        *" $bf_word "*) bf_surplus="$bf_surplus$bf_word " ;;
        esac
    done
}

# bf_default_grub ARG...: GRUB_CMDLINE_LINUX, where there is GRUB 2.
bf_default_grub() {
    [ -f "${BF_ROOT-}/etc/default/grub" ] || return 0
    bf_cmdline=
    while IFS= read -r bf_line; do
        case $bf_line in
        GRUB_CMDLINE_LINUX=*) bf_cmdline=${bf_line#*=} ;;
        esac
    done <"${BF_ROOT-}/etc/default/grub"
    case $bf_cmdline in
    *[\$\`\\]* | ?*[\"\']?*)
        bf_note "/etc/default/grub is left alone: it is more than words"
        return 0
        ;;
    esac
    bf_cmdline=${bf_cmdline#[\"\']} bf_cmdline=${bf_cmdline%[\"\']} bf_line=''
    for bf_word in $bf_cmdline; do
        case $bf_wanted$bf_newline$bf_ours in
        *" $bf_word "*"$bf_newline"*) ;;
        *" $bf_word "* | *" ${bf_word%%=*}="*"$bf_newline"*) continue ;;
        esac
        bf_line="$bf_line $bf_word"
    done
    for bf_word in "$@"; do
        case "$bf_line " in
        *" $bf_word "*) ;;
        *) bf_line="$bf_line $bf_word" ;;
        esac
    done
    bf_assign /etc/default/grub GRUB_CMDLINE_LINUX "${bf_line# }" '"'
}

# bf_zone_link ZONE: the time zone as systemd has it.
bf_zone_link() {
    if [ ! -f "${BF_ROOT-}/usr/share/zoneinfo/$1" ]; then
        bf_fail "there is no /usr/share/zoneinfo/$1"
        return
    fi
    bf_link /etc/localtime "../usr/share/zoneinfo/$1"
}

# bf_zone_copy ZONE: the time zone as EL5 and EL6 have it: a copy, for /usr may not be mounted, and its name for
# tzdata-update(8), which renews the copy. Zone files are no text, so bf_put cannot write them.
bf_zone_copy() {
    bf_zone=${BF_ROOT-}/usr/share/zoneinfo/$1
    if [ ! -f "$bf_zone" ]; then
        bf_fail "there is no /usr/share/zoneinfo/$1"
        return
    fi
    bf_assign /etc/sysconfig/clock ZONE "$1" '"' || return
    if [ -L "${BF_ROOT-}/etc/localtime" ] || ! cmp -s "$bf_zone" "${BF_ROOT-}/etc/localtime"; then
        bf_act "/etc/localtime" bf_copy_zone "$bf_zone" "${BF_ROOT-}/etc/localtime"
    fi
}

# bf_copy_zone FROM TO: by bf_act.
bf_copy_zone() {
    bf_new=${2%/*}/.${2##*/}.bf-new
    if rm -f "$bf_new" && cp "$1" "$bf_new" && chmod 644 "$bf_new" && bf_label "$2" "$bf_new" && mv -f "$bf_new" "$2"; then
        return 0
    fi
    rm -f "$bf_new"
    return 1
}

# bf_time_servers FILE SERVER...: the servers that chrony or ntpd asks, in place of those in its configuration, which
# keeps the rest, and the local clock of EL5 and EL6 (127.127.1.0).
bf_time_servers() {
    bf_file=$1 bf_asked=''
    shift
    if [ ! -f "${BF_ROOT-}$bf_file" ]; then
        bf_note "there is no $bf_file, so nothing keeps the time"
        return 0
    fi
    while read -r bf_word bf_server _; do
        case $bf_word:$bf_server in
        server:127.127.*) ;;
        server:* | pool:*) bf_asked="$bf_asked $bf_word $bf_server" ;;
        esac
    done <"${BF_ROOT-}$bf_file"
    bf_lines=
    for bf_server in "$@"; do
        bf_lines="$bf_lines server $bf_server"
    done
    [ "$bf_asked" != "$bf_lines" ] || return 0
    bf_edited=$(bf_servers="$*" awk '
        function ours(  count, name, i) {
            count = split(ENVIRON["bf_servers"], name, " ")
            for (i = 1; i <= count; i++) print "server " name[i] " iburst"
        }
        ($1 == "server" || $1 == "pool") && $2 !~ /^127\.127\./ { if (!done++) ours(); next }
        { print }
        END { if (!done) ours() }
    ' "${BF_ROOT-}$bf_file") || return 1
    bf_put "$bf_file" 644 root:root <<EOS
$bf_edited
EOS
}

# bf_cron_files NAME...: of the files that are ours in /etc/cron.d only these stay.
bf_cron_files() {
    bf_wanted=" $* "
    set +f
    set -- "${BF_ROOT-}"/etc/cron.d/bootforge-*
    set -f
    for bf_entry in "$@"; do
        case $bf_wanted in
        *" ${bf_entry##*/bootforge-} "*) ;;
        *) bf_absent "/etc/cron.d/${bf_entry##*/}" || return ;;
        esac
    done
}
