# What the scripts of an install share: where the server is, how to fetch from it and how to tell it something.
# POSIX sh: EL5 has bash 3.2, and its installer neither curl nor wget, but Python. No line may begin with a per cent
# sign, because EL5 would take it for the next section. Functions run in subshells and leave nothing behind.

# bf_url: the URL of this install's grant: what bf_grant says, which is set where the kickstart came in the initramfs, else
# what the boot arguments do; fails when they name none.
bf_url() (
    set -f
    url=${bf_grant-}
    [ -n "$url" ] || while read -r line || [ -n "$line" ]; do
        for word in $line; do
            case $word in
            ks=http*/kickstart | inst.ks=http*/kickstart) url=${word#*=} ;;
            esac
        done
    done <"${BF_CMDLINE:-${BF_ROOT-}/proc/cmdline}"
    [ -n "$url" ] && echo "${url%/kickstart}"
)

# bf_has COMMAND
bf_has() {
    command -v "$1" >/dev/null 2>&1
}

# bf_fetch URL FILE
bf_fetch() (
    if bf_has curl; then
        curl -fsS --retry 5 --max-time 120 -o "$2" "$1"
    elif bf_has wget; then
        wget -q -T 120 -O "$2" "$1"
    else
        bf_python "$1" "$2" ''
    fi
)

# bf_post URL FILE SECONDS TRIES: sends a file.
bf_post() (
    if bf_has curl; then
        curl -fsS --retry "$4" --max-time "$3" -o /dev/null -H 'Content-Type: text/plain' --data-binary "@$2" "$1"
    elif bf_has wget; then
        wget -q -T "$3" -O /dev/null --header 'Content-Type: text/plain' --post-file "$2" "$1"
    else
        bf_python "$1" '' "$2"
    fi
)

# bf_python URL INTO FROM: what curl does, in Python 2.4 or later.
bf_python() (
    for python in python python3 /usr/libexec/platform-python; do
        bf_has "$python" || continue
        "$python" -c '
import sys
try:
    import urllib2 as http
except ImportError:
    import urllib.request as http
url, into, source = sys.argv[1:]
data = None
if source:
    data = open(source, "rb").read()
answer = http.urlopen(http.Request(url, data, {"Content-Type": "text/plain"})).read()
if into:
    open(into, "wb").write(answer)
' "$1" "$2" "$3"
        exit
    done
    exit 127
)

# bf_sha256 FILE: its digest in hex; EL5's coreutils may have no sha256sum.
bf_sha256() (
    if bf_has sha256sum; then sha256sum <"$1"; else openssl dgst -sha256 <"$1"; fi | sed 's/^.*= *//; s/ .*//'
)

# bf_report OUTCOME FILE: tells the server how the install went (installed or failed), and why.
bf_report() (
    url=$(bf_url) || exit 1
    bf_post "$url/report/$1" "$2" 60 5
)

# bf_upload NAME FILE: the end of a log, for the server to keep; nothing, when there is no such file.
bf_upload() (
    [ -s "$2" ] || exit 0
    url=$(bf_url) || exit 1
    umask 077
    end=${BF_ROOT-}/tmp/bf-upload
    tail -c 262144 "$2" >"$end" && bf_post "$url/log/$1" "$end" 30 1
    status=$?
    rm -f "$end"
    exit $status
)
