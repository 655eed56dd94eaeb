# Files: secrets, edits of what packages own, and scripts of the site's own.

# bf_secret_file PATH MODE OWNER NAME: PATH holds the secret NAME, which may have several lines; where it did not come,
# what is there is left.
bf_secret_file() {
    if [ ! -r "${bf_secrets:-/nowhere}/$4" ]; then
        bf_note "secret $4 not given"
        return 0
    fi
    bf_value=$(cat "$bf_secrets/$4")
    if [ -z "$bf_value" ]; then
        bf_fail "secret $4 is empty"
        return
    fi
    bf_put "$1" "$2" "$3" <<EOS
$bf_value
EOS
}

# bf_edits PATH <EDITS: what EDITS says is so in PATH; the rest of it stays. The whole new text is made first. EDITS has
# an operation or an operand in each line: set KEY SEPARATOR LINE, present PATTERN LINE, absent PATTERN LINE (nothing
# where there is none), and last: block BEGIN END and the number of the lines that follow. No edit finds what another
# one leaves (plan/edits.py), so that a second run has nothing to do. Bytes are characters.
bf_edits() {
    bf_file=${BF_ROOT-}$1 bf_was=/dev/null
    if [ -L "$bf_file" ]; then
        bf_fail "$1 is a link; edit what it leads to"
        return
    elif [ -f "$bf_file" ]; then
        bf_was=$bf_file
    elif [ -e "$bf_file" ]; then
        bf_fail "$1 is no file"
        return
    fi
    bf_edited=$(LC_ALL=C awk '
        function sets(line, key, mark) {
            sub(/^[ \t]+/, "", line)
            if (substr(line, 1, length(key)) != key) return 0
            line = substr(line, length(key) + 1)
            if (mark == "") return line == "" || line ~ /^[ \t]/
            sub(/^[ \t]+/, "", line)
            return substr(line, 1, length(mark)) == mark
        }
        function found(line, kind, one, two, three) {
            if (kind == "set") return sets(line, one, two)
            return (two != "" && line "" == two "") || (one != "" && line ~ one)
        }
        function edit(kind, one, two, three,   i, kept, done, leaves) {
            leaves = kind == "set" ? three : two
            done = kind == "absent"
            kept = 0
            for (i = 1; i <= lines; i++) {
                if (!own[i] && found(line[i], kind, one, two, three)) {
                    if (done) continue
                    done = 1
                    line[i] = leaves
                }
                line[++kept] = line[i]
                own[kept] = own[i]
            }
            lines = kept
            if (!done) { line[++lines] = leaves; own[lines] = 0 }
        }
        function put_block(   i) {
            if (placed || !size) return
            placed = 1
            line[++lines] = first; own[lines] = 1
            for (i = 1; i <= size; i++) { line[++lines] = word[at + i]; own[lines] = 1 }
            line[++lines] = last; own[lines] = 1
        }
        NR == FNR { word[++words] = $0; next }
        { was[++wases] = $0 }
        END {
            for (at = 1; word[at] != "block"; at += word[at] == "set" ? 4 : 3);
            first = word[at + 1]; last = word[at + 2]; size = word[at + 3] + 0; at += 3
            for (i = 1; i <= wases; i++) {
                if (was[i] == first) {
                    for (end = i + 1; end <= wases && was[end] != last && was[end] != first; end++);
                    if (end <= wases && was[end] == last) { put_block(); i = end }
                } else if (was[i] != last) { line[++lines] = was[i]; own[lines] = 0 }
            }
            for (i = 1; word[i] != "block"; i += word[i] == "set" ? 4 : 3) {
                edit(word[i], word[i + 1], word[i + 2], word[i] == "set" ? word[i + 3] : "")
            }
            put_block()
            same = lines + 0 == wases + 0
            for (i = 1; same && i <= lines; i++) same = line[i] "" == was[i] ""
            if (same) exit 0
            for (i = 1; i <= lines; i++) print line[i]
            printf "."
            exit 10
        }
    ' - "$bf_was")
    case $? in
    0) return 0 ;;
    10) ;;
    *)
        bf_fail "$1 cannot be read"
        return
        ;;
    esac
    bf_look=$(stat -c '%a %u:%g' "$bf_file" 2>/dev/null) || bf_look='644 root:root'
    if [ "$bf_edited" = . ]; then
        bf_put "$1" "${bf_look% *}" "${bf_look#* }" </dev/null
        return
    fi
    bf_put "$1" "${bf_look% *}" "${bf_look#* }" <<EOS
${bf_edited%"$bf_newline".}
EOS
}

# bf_hook NAME <SCRIPT: SCRIPT, called with 'check', exits with 0 when all is right and with 1 when it would change
# something; then it is called with 'apply', and must find all right afterwards. It is an argument of sh, not a file, so
# that --check leaves nothing anywhere.
bf_hook() {
    bf_script=$(cat)
    bf_call_hook 120 "$1" check
    case $bf_ended in
    0) return 0 ;;
    1) ;;
    *)
        bf_fail "check exits with $bf_ended: $bf_last"
        return
        ;;
    esac
    bf_change "${bf_last:-$1}" || return 0
    bf_call_hook 1800 "$1" apply
    if [ "$bf_ended" -ne 0 ]; then
        bf_fail "apply exits with $bf_ended: $bf_last"
        return
    fi
    bf_done=${bf_last:-$1}
    bf_call_hook 120 "$1" check
    if [ "$bf_ended" -ne 0 ]; then
        bf_fail "still not right after apply: $bf_last"
        return
    fi
    bf_text=$bf_done
}

# bf_call_hook SECONDS NAME ACTION: sets bf_ended to the script's exit status and bf_last to the last line it says.
bf_call_hook() {
    bf_hear bf_within "$1" env "BF_PHASE=$bf_phase" /bin/sh -c "$bf_script" "$2" "$3" </dev/null
    bf_ended=$?
    bf_last=${bf_said##*"$bf_newline"}
}
