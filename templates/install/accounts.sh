# Accounts, where the release's installer has no command that will do. Each function says what it could not do, and the
# others go on.

# bf_group NAME GID
bf_group() {
    groupadd -g "$2" "$1"
}

# bf_user NAME UID GID HOME SHELL GECOS: with a group of its own, and no password that fits.
bf_user() {
    mkdir -p "${4%/*}/" && groupadd -g "$3" "$1" && useradd -u "$2" -g "$3" -d "$4" -m -s "$5" -c "$6" "$1"
}

# bf_join NAME GROUP
bf_join() {
    usermod -a -G "$2" "$1"
}

# bf_password NAME HASH
bf_password() {
    printf '%s:%s\n' "$1" "$2" | chpasswd -e
}

# bf_key USER HOME KEY: a public key of SSH. What %post writes is labelled by nobody else on EL5 and EL6.
bf_key() (
    umask 077
    mkdir -p "$2/.ssh" || exit
    file=$2/.ssh/authorized_keys
    printf '%s\n' "$3" >>"$file" && chmod 700 "$2/.ssh" && chmod 600 "$file" && chown -R "$1:" "$2/.ssh"
    ! command -v restorecon >/dev/null 2>&1 || restorecon -R "$2/.ssh"
)
