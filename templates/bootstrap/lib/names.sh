# Names and trust: the host's own name, and the certificate authorities that it believes.

# bf_hostname NAME: the host's own name, in /etc/hostname and, outside an installer, in the kernel.
bf_hostname() {
    bf_put /etc/hostname 644 root:root <<EOS || return 1
$1
EOS
    bf_kernel_name "$1"
}

# bf_sysconfig_hostname NAME: as bf_hostname, where the name is HOSTNAME of /etc/sysconfig/network, which sh reads. What
# else is there stays, but for a second HOSTNAME.
bf_sysconfig_hostname() {
    bf_n_file=${BF_ROOT-}/etc/sysconfig/network bf_n_name="HOSTNAME=$1" bf_n_new='' bf_n_line=''
    if [ -e "$bf_n_file" ]; then
        while IFS= read -r bf_n_line || [ -n "$bf_n_line" ]; do
            case $bf_n_line in
            HOSTNAME=*)
                bf_n_line=$bf_n_name
                bf_n_name=
                [ -n "$bf_n_line" ] || continue
                ;;
            esac
            bf_n_new=$bf_n_new$bf_n_line$bf_newline
        done <"$bf_n_file"
    else
        bf_n_new=NETWORKING=yes$bf_newline
    fi
    bf_n_new=$bf_n_new$bf_n_name
    bf_put /etc/sysconfig/network 644 root:root <<EOS || return 1
${bf_n_new%"$bf_newline"}
EOS
    bf_kernel_name "${1}"
}

# bf_kernel_name NAME
bf_kernel_name() {
    [ "$bf_phase" != install ] && [ -z "${BF_ROOT-}" ] || return 0
    { read -r bf_running </proc/sys/kernel/hostname; } 2>/dev/null
    [ "$bf_running" = "$1" ] || bf_act "the kernel's name" bf_to_kernel /proc/sys/kernel/hostname "$1"
}

# bf_only DIRECTORY NAME...: of the files in DIRECTORY that begin with bootforge- no others than those named stay.
bf_only() {
    bf_o_directory=$1
    shift
    bf_o_named=" $* "
    set +f
    set -- "${BF_ROOT-}$bf_o_directory"/bootforge-*
    set -f
    for bf_o_file in "$@"; do
        bf_o_file=${bf_o_file##*/}
        case $bf_o_named in
        *" $bf_o_file "*) ;;
        *) bf_absent "$bf_o_directory/$bf_o_file" || return ;;
        esac
    done
}

# What stands between two lines of ours, BEGIN and END, is ours: of a file all the rest is kept, with what the first lines
# of the input say, up to END, in the place of what was ours, or at the end. A BEGIN without its END begins nothing.
# `mine(LINE)` drops a line elsewhere. Nothing between the first BEGIN and END: no block at all.
# shellcheck disable=SC2016 # awk's
bf_block='
function keep(line) { if (placed) after = after line "\n"; else before = before line "\n" }
!got {
    ours = ours $0 "\n"
    if ($0 == end) got = 1; else if ($0 != begin) { some = 1; known[$1 " " $2] = 1 }
    next
}
exclusive { next }
$0 == begin && !inside { inside = 1; held = ""; next }
$0 == end && inside { inside = 0; placed = 1; next }
inside { held = held $0 "\n"; next }
keys && (($1 " " $2) in known) { next }
{ keep($0) }
END {
    if (inside) {
        count = split(held, lines, "\n")
        for (n = 1; n < count; n++) {
            split(lines[n], word)
            if (!keys || !((word[1] " " word[2]) in known)) keep(lines[n])
        }
    }
    printf "%s%s%s", before, some ? ours : "", after
}'

bf_ca_begin='# Certificate authorities of the site, by Bootforge; changes up to the end are lost.'
bf_ca_end='# End of what Bootforge wrote.'

# bf_ca_bundle PATH [<CERTIFICATES]: PATH has these as well, in one block; all other lines stay.
bf_ca_bundle() {
    bf_t_file=${BF_ROOT-}$1
    bf_t_ours=$(cat)
    [ -n "$bf_t_ours" ] || grep -qxF "$bf_ca_begin" "$bf_t_file" 2>/dev/null || return 0
    bf_t_new=$(bf_with_block) || return 1
    bf_put "$1" 644 root:root <<EOS
$bf_t_new
EOS
}

bf_with_block() {
    [ -f "$bf_t_file" ] || bf_t_file=
    awk -v begin="$bf_ca_begin" -v end="$bf_ca_end" "$bf_block" - ${bf_t_file:+"$bf_t_file"} <<EOS
$bf_ca_begin
${bf_t_ours:+$bf_t_ours$bf_newline}$bf_ca_end
EOS
}

# bf_update_trust HANDLER: what the system believes is made of its own list and of the anchors. EL6.5 brought that in
# an update, which leaves it switched off.
bf_update_trust() {
    if [ "$1" = trust:enable ]; then bf_within 110 update-ca-trust enable || return; fi
    bf_within 110 update-ca-trust extract
}
