# The one write primitive. Nothing else in the bootstrap writes a file.

# bf_put PATH MODE <CONTENT: makes PATH a regular file of that mode with the content of standard input, or leaves
# it alone if it is that already. Never at the end of a pipe: bf_status would be lost with the subshell. A reader sees the old file or the new one, never a part. BF_ROOT is prefixed.
bf_put() {
    bf_path=${BF_ROOT-}$1 bf_mode=$2
    bf_content=$(cat && echo .) || return 1
    bf_content=${bf_content%.}
    if [ -f "$bf_path" ] && [ ! -L "$bf_path" ] && [ "$(stat -c %a "$bf_path")" = "$bf_mode" ] &&
        printf %s "$bf_content" | cmp -s - "$bf_path"; then
        return 0
    fi
    if [ -n "$bf_check" ]; then
        bf_status=would bf_text="$bf_text $1"
        return 0
    fi
    bf_new=$bf_path.bf-new
    if mkdir -p "${bf_path%/*}" && rm -f "$bf_new" && (umask 077 && printf %s "$bf_content" >"$bf_new") &&
        chmod "$bf_mode" "$bf_new" && bf_label "$bf_path" "$bf_new" &&
        mv -f "$bf_new" "$bf_path"; then
        bf_status=changed bf_text="$bf_text $1"
        return 0
    fi
    rm -f "$bf_new"
    bf_text="$1 could not be written"
    return 1
}

# bf_label PATH NEW: gives NEW the SELinux label that PATH will need; where SELinux is off, nothing.
bf_label() {
    bf_context=$(matchpathcon -n "$1" 2>/dev/null) && chcon "$bf_context" "$2" 2>/dev/null
    return 0
}

# bf_sha256 FILE: sets bf_sum to its SHA-256 in hex. EL5 may have no sha256sum. No pipe: it would hide a failure.
bf_sha256() {
    if command -v sha256sum >/dev/null; then
        bf_sum=$(sha256sum <"$1") || return 1
    else
        bf_sum=$(openssl dgst -sha256 <"$1") || return 1
    fi
    bf_sum=${bf_sum##*= }
    bf_sum=${bf_sum%% *}
}
