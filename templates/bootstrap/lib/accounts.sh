# Accounts: groups, users, passwords, keys of SSH, and what sudo allows. /etc/passwd, /etc/group and /etc/shadow are read
# once for all steps, and again after a change; the system's own tools write them.

bf_passwd='' bf_group='' bf_shadow=''

bf_know_accounts() {
    [ -z "$bf_passwd" ] || return 0
    bf_passwd=$bf_newline$(cat "${BF_ROOT-}/etc/passwd")$bf_newline &&
        bf_group=$bf_newline$(cat "${BF_ROOT-}/etc/group")$bf_newline &&
        bf_shadow=$bf_newline$(cat "${BF_ROOT-}/etc/shadow")$bf_newline && return 0
    bf_passwd=
    return 1
} 2>/dev/null

# bf_account WHAT COMMAND...: changes an account, by bf_act; what is known of accounts is known no more.
bf_account() {
    bf_act "$@"
    set -- $?
    bf_passwd=
    return "$1"
}

# bf_entry TEXT NAME: sets bf_line to NAME's line of a file of accounts, or to nothing.
bf_entry() {
    bf_line=
    case $1 in
    *"$bf_newline$2:"*)
        bf_line=${1#*"$bf_newline$2:"}
        bf_line=$2:${bf_line%%"$bf_newline"*}
        ;;
    esac
}

# bf_split LINE: sets bf_1 to bf_7 to its fields.
bf_split() {
    IFS=: read -r bf_1 bf_2 bf_3 bf_4 bf_5 bf_6 bf_7 <<EOS
$1
EOS
}

# bf_holder_of TEXT ID: sets bf_holder to the name that has an id, or to nothing.
bf_holder_of() {
    bf_holder=
    case $1 in
    *":$2:"*) ;;
    *) return 0 ;;
    esac
    while IFS=: read -r bf_1 _ bf_3 _; do
        [ "$bf_3" != "$2" ] || bf_holder=$bf_1
    done <<EOS
$1
EOS
}

# bf_groups NAME GID: a group.
bf_groups() {
    bf_know_accounts || { bf_fail "/etc/passwd, /etc/group and /etc/shadow cannot be read"; return; }
    bf_entry "$bf_group" "$1"
    if [ -n "$bf_line" ]; then
        bf_split "$bf_line"
        [ "$bf_3" = "$2" ] || bf_fail "group $1 has the gid $bf_3, not $2; its files would be nobody's, so it is left"
        return
    fi
    bf_holder_of "$bf_group" "$2"
    if [ -n "$bf_holder" ]; then
        bf_fail "the gid $2 is that of the group $bf_holder already"
        return
    fi
    bf_account "group $1" groupadd -g "$2" "$1"
}

# bf_users NAME UID GID HOME SHELL GECOS MEMBER SECRET HASHES GROUP...: an account with a group and a home of its own.
# MEMBER: of the groups named 'also', or of them 'only'. SECRET: of the password's hash, '' when none fits; HASHES as
# bf_password.
bf_users() {
    bf_u_name=$1 bf_u_uid=$2 bf_u_gid=$3 bf_u_home=$4 bf_u_shell=$5 bf_u_gecos=$6 bf_u_member=$7
    bf_u_secret=$8 bf_u_hashes=$9
    shift 9
    bf_u_groups=$*
    bf_groups "$bf_u_name" "$bf_u_gid" && bf_know_accounts || return
    bf_entry "$bf_passwd" "$bf_u_name"
    if [ -z "$bf_line" ]; then
        bf_holder_of "$bf_passwd" "$bf_u_uid"
        if [ -n "$bf_holder" ]; then
            bf_fail "the uid $bf_u_uid is that of $bf_holder already"
            return
        fi
        bf_account "account $bf_u_name" useradd -u "$bf_u_uid" -g "$bf_u_gid" -d "$bf_u_home" -M -s "$bf_u_shell" \
            -c "$bf_u_gecos" "$bf_u_name" || return
    else
        bf_attributes || return
    fi
    if [ ! -e "${BF_ROOT-}$bf_u_home" ] && [ ! -L "${BF_ROOT-}$bf_u_home" ]; then
        bf_act "home $bf_u_home" bf_home "${BF_ROOT-}$bf_u_home" "$bf_u_uid:$bf_u_gid" || return
    fi
    bf_memberships && bf_password "$bf_u_name" "$bf_u_secret" "$bf_u_hashes"
}

# bf_attributes: what /etc/passwd says of an account that is there, by one usermod.
bf_attributes() {
    bf_split "$bf_line"
    if [ "$bf_3" != "$bf_u_uid" ]; then
        bf_fail "$bf_u_name has the uid $bf_3, not $bf_u_uid; its files would be nobody's, so it is left"
        return
    fi
    bf_u_what=
    set --
    if [ "$bf_4" != "$bf_u_gid" ]; then set -- "$@" -g "$bf_u_gid" && bf_u_what="$bf_u_what, gid $bf_u_gid"; fi
    if [ "$bf_5" != "$bf_u_gecos" ]; then set -- "$@" -c "$bf_u_gecos" && bf_u_what="$bf_u_what, gecos"; fi
    if [ "$bf_6" != "$bf_u_home" ]; then set -- "$@" -d "$bf_u_home" && bf_u_what="$bf_u_what, home $bf_u_home"; fi
    if [ "$bf_7" != "$bf_u_shell" ]; then set -- "$@" -s "$bf_u_shell" && bf_u_what="$bf_u_what, shell $bf_u_shell"; fi
    [ $# -eq 0 ] || bf_account "${bf_u_what#, }" usermod "$@" "$bf_u_name"
}

# bf_memberships: the groups besides the own one.
bf_memberships() {
    bf_know_accounts || return
    bf_u_lacks='' bf_u_too_many=''
    for bf_u_one in $bf_u_groups; do
        bf_entry "$bf_group" "$bf_u_one"
        case ,${bf_line##*:}, in
        *",$bf_u_name,"*) ;;
        *) bf_u_lacks=$bf_u_lacks,$bf_u_one ;;
        esac
    done
    if [ "$bf_u_member" = only ]; then
        while IFS=: read -r bf_1 _ _ bf_4; do
            case ",$bf_4,: $bf_u_name $bf_u_groups " in
            *",$bf_u_name,"*" $bf_1 "*) ;;
            *",$bf_u_name,"*) bf_u_too_many=$bf_u_too_many,$bf_1 ;;
            esac
        done <<EOS
$bf_group
EOS
    fi
    if [ -n "$bf_u_too_many" ]; then
        # shellcheck disable=SC2086 # names of groups have no blanks
        set -- $bf_u_groups
        bf_u_groups=$(IFS=, && echo "$*")
        bf_account "not in ${bf_u_too_many#,}${bf_u_lacks:+, in ${bf_u_lacks#,}}" usermod -G "$bf_u_groups" "$bf_u_name"
    elif [ -n "$bf_u_lacks" ]; then
        bf_account "in ${bf_u_lacks#,}" usermod -a -G "${bf_u_lacks#,}" "$bf_u_name"
    fi
}

# bf_no_users NAME UID: no such account; its home stays. One with another uid is not the one that is meant.
bf_no_users() {
    bf_know_accounts || { bf_fail "/etc/passwd, /etc/group and /etc/shadow cannot be read"; return; }
    bf_entry "$bf_passwd" "$1"
    [ -n "$bf_line" ] || return 0
    bf_split "$bf_line"
    if [ "$bf_3" != "$2" ]; then
        bf_fail "$1 has the uid $bf_3, not $2; it is another account, and is left"
        return
    fi
    bf_account "account $1 (removed, but not $bf_6)" userdel "$1"
}

# bf_password NAME SECRET HASHES: the password's hash is SECRET, of one of the kinds HASHES, as in '6 y' for $6$ and $y$.
# Without SECRET no password fits. The hash is in no command's arguments.
bf_password() {
    bf_know_accounts || { bf_fail "/etc/passwd, /etc/group and /etc/shadow cannot be read"; return; }
    bf_entry "$bf_shadow" "$1"
    if [ -z "$bf_line" ]; then
        bf_entry "$bf_passwd" "$1"
        [ -n "$bf_line" ] || return 0 # with --check: the account is not made yet
        bf_account "the line of $1 in /etc/shadow" pwconv && bf_know_accounts || return
        bf_entry "$bf_shadow" "$1"
    fi
    bf_split "$bf_line"
    if [ -z "$2" ]; then
        case $bf_2 in
        '!'* | '*'*) ;;
        *) bf_account "no password" usermod -L "$1" ;;
        esac
        return
    fi
    bf_secret "$2" || { bf_note "secret $2 not given" && return; }
    for bf_hash in $3; do
        case $bf_value in
        *:* | *' '*) ;;
        "\$$bf_hash\$"*)
            [ "$bf_2" = "$bf_value" ] || bf_account "password" bf_chpasswd "$1"
            return
            ;;
        esac
    done
    bf_fail "secret $2 is no hash that this release verifies; it verifies kinds $3"
}

# bf_chpasswd NAME
bf_chpasswd() {
    chpasswd -e <<EOS
$1:$bf_value
EOS
}

# Keys of SSH. A home is its user's to change while we look at it, so root follows no name there that was not looked at:
# it enters the directory, looks where it is, and opens the file without following a link and without waiting (dd). What
# it reads only decides whether there is anything to do. The user writes, as himself, with all of that read again: no
# link and no race leads him further than he can go anyway.

bf_keys_begin='# Keys of the site, by Bootforge; changes up to the end are lost.'
bf_keys_end='# End of what Bootforge wrote.'

# bf_keys USER UID HOME POLICY [<KEYS]: USER's authorized_keys have these: additive, in a block between other lines, of
# which those with the same keys go; or exclusive, and nothing else.
bf_keys() {
    bf_k_user=$1 bf_k_uid=$2 bf_k_home=$3 bf_k_exclusive=
    [ "$4" = additive ] || bf_k_exclusive=1
    bf_k_ours=$(cat)
    if [ ! -d "${BF_ROOT-}$bf_k_home" ]; then
        [ -n "$bf_k_ours" ] || return 0
        bf_change "$bf_k_home/.ssh/authorized_keys" || return 0
        bf_fail "$bf_k_home is no directory"
        return
    fi
    bf_k_found=$(bf_look_at_keys) || { bf_fail "${bf_k_found##*"$bf_newline"}"; return; }
    bf_k_modes=${bf_k_found%%"$bf_newline"*}
    bf_k_was=${bf_k_found#*"$bf_newline"}
    bf_k_was=${bf_k_was%.}
    if [ -z "$bf_k_ours" ]; then
        case $bf_newline$bf_k_was in
        *"$bf_newline$bf_keys_begin$bf_newline"*) ;;
        *) return 0 ;;
        esac
    fi
    bf_k_new=$(bf_merge_keys && echo .) || return 1
    bf_k_new=${bf_k_new%.}
    [ "$bf_k_new" != "$bf_k_was" ] || [ "$bf_k_modes" != "700 $bf_k_uid 600" ] || return 0
    if [ "$bf_k_uid" -eq 0 ]; then
        bf_directory "$bf_k_home/.ssh" 700 root:root && bf_put "$bf_k_home/.ssh/authorized_keys" 600 root:root <<EOS
${bf_k_new%"$bf_newline"}
EOS
    else
        bf_act "$bf_k_home/.ssh/authorized_keys" bf_write_keys
    fi
}

# bf_look_at_keys: prints the mode of .ssh, owner and mode of authorized_keys, and then what is in it, with a dot after
# it; or why it is left alone, and fails. In a subshell, which is where it goes to.
bf_look_at_keys() (
    cd -P "${BF_ROOT-}$bf_k_home" || { echo "$bf_k_home cannot be entered" && exit 1; }
    bf_real=$(pwd -P)
    if [ -L .ssh ]; then echo "$bf_k_home/.ssh is a symbolic link" && exit 1; fi
    if [ ! -e .ssh ]; then
        bf_owned "$bf_k_home" "$(stat -c %u .)" 0
        echo absent
        echo .
        exit 0
    fi
    if ! cd -P .ssh || [ "$(pwd -P)" != "${bf_real%/}/.ssh" ]; then echo "$bf_k_home/.ssh is no directory" && exit 1; fi
    bf_kind=
    {
        read -r bf_home_of _
        read -r bf_dir_of bf_dir_mode _
        read -r bf_file_of bf_file_mode bf_size bf_kind
    } <<EOS
$(stat -c '%u %a %s %F' .. . authorized_keys)
EOS
    bf_owned "$bf_k_home" "$bf_home_of" 0
    bf_owned "$bf_k_home/.ssh" "$bf_dir_of" "$bf_k_uid"
    echo "$bf_dir_mode $bf_file_of $bf_file_mode"
    case $bf_kind in
    '') ;;
    regular*)
        if [ "$bf_size" -gt 1048576 ]; then echo "$bf_k_home/.ssh/authorized_keys is larger than 1 MiB" && exit 1; fi
        if ! dd if=authorized_keys bs=65536 count=17 iflag=nofollow,nonblock; then
            # busybox's dd has no such flags: there a FIFO that takes the file's place just now keeps us waiting.
            if dd if=/dev/null count=0 iflag=nofollow,nonblock || ! cat authorized_keys; then
                echo "$bf_k_home/.ssh/authorized_keys cannot be read" && exit 1
            fi
        fi
        ;;
    *) echo "$bf_k_home/.ssh/authorized_keys is a $bf_kind" && exit 1 ;;
    esac
    echo .
) 2>/dev/null

# bf_owned PATH OWNER OTHER: ends bf_look_at_keys unless OWNER is the user's uid, or OTHER.
bf_owned() {
    case $2 in
    "$bf_k_uid" | "$3") ;;
    *) echo "$1 belongs to the uid $2, not to $bf_k_user" && exit 1 ;;
    esac
}

bf_block_of_keys() {
    cat <<EOS
$bf_keys_begin
${bf_k_ours:+$bf_k_ours$bf_newline}$bf_keys_end
EOS
}

bf_merge_keys() {
    bf_k_text=$(bf_block_of_keys)
    [ -z "$bf_k_was" ] || bf_k_text=$bf_k_text$bf_newline${bf_k_was%"$bf_newline"}
    awk -v keys=1 -v exclusive="$bf_k_exclusive" -v begin="$bf_keys_begin" -v end="$bf_keys_end" "$bf_block" <<EOS
$bf_k_text
EOS
}

# bf_write_keys: as the user. Without file 3, which is root's report; a link that he plants is as good as his own hand.
bf_write_keys() {
    bf_block_of_keys 2>/dev/null | (
        cd / && exec runuser -s /bin/sh -c "$bf_write_keys" "$bf_k_user" bootforge "${BF_ROOT-}$bf_k_home" \
            "$bf_k_exclusive" "$bf_keys_begin" "$bf_keys_end" "$bf_block"
    ) 3>&-
}

# shellcheck disable=SC2016 # the user's shell expands it
bf_write_keys='
cd "$1" && umask 077 && { [ -d .ssh ] || mkdir .ssh; } && chmod 700 .ssh && cd .ssh || exit
if [ -e authorized_keys ] && [ ! -r authorized_keys ]; then
    echo "authorized_keys cannot be read by its user" >&2
    exit 1
fi
new=.authorized_keys.bf-new
rm -f "$new"
if { cat; [ ! -e authorized_keys ] || cat authorized_keys; } |
    awk -v keys=1 -v exclusive="$2" -v begin="$3" -v end="$4" "$5" >"$new" && chmod 600 "$new" &&
    mv -f "$new" authorized_keys; then
    ! command -v restorecon >/dev/null 2>&1 || restorecon -R . || true
else
    rm -f "$new"
    exit 1
fi'

# bf_sudo PATH <LINES: a file of sudoers.d, if visudo finds nothing wrong with it.
bf_sudo() {
    bf_s_text=$(cat)
    if ! command -v visudo >/dev/null 2>&1; then
        bf_fail "there is no visudo; the package sudo brings it"
        return
    fi
    if ! bf_sudo_reads; then
        bf_fail "/etc/sudoers does not read ${1%/*}; add the line '#includedir ${1%/*}' to it with visudo"
        return
    fi
    bf_s_said=$(bf_within 60 bf_visudo 2>&1) || { bf_fail "visudo: ${bf_s_said%%"$bf_newline"*}"; return; }
    bf_put "$1" 440 root:root <<EOS
$bf_s_text
EOS
}

# bf_sudo_reads: whether /etc/sudoers includes its directory; sudo knows that from 1.7.2 on, with @ from 1.9.1.
bf_sudo_reads() {
    while read -r bf_s_word bf_s_directory || [ -n "$bf_s_word" ]; do
        case "$bf_s_word ${bf_s_directory%/}" in
        '#includedir /etc/sudoers.d' | '@includedir /etc/sudoers.d') return 0 ;;
        esac
    done <"${BF_ROOT-}/etc/sudoers"
    return 1
} 2>/dev/null

bf_visudo() {
    visudo -c -f /proc/self/fd/0 <<EOS
$bf_s_text
EOS
}
