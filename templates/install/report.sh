# bf_url: where this install's grant is, from the boot arguments; '' when they name no kickstart by HTTP.
bf_url=''
set -f
read -r bf_cmdline <"${BF_ROOT-}/proc/cmdline"
for bf_word in $bf_cmdline; do
    case $bf_word in
    ks=http*/kickstart | inst.ks=http*/kickstart) bf_url=${bf_word#*=} bf_url=${bf_url%/kickstart} ;;
    esac
done
set +f

# bf_report OUTCOME FILE: sends a report. EL5's installer has neither curl nor wget, but Python 2
# (anaconda, rhel5-branch: scripts/upd-instroot).
bf_report() {
    if command -v curl >/dev/null; then
        curl -fsS --retry 5 --max-time 60 -o /dev/null -H 'Content-Type: text/plain' --data-binary "@$2" "$bf_url/report/$1"
    elif command -v wget >/dev/null; then
        wget -q -T 60 -O /dev/null --header 'Content-Type: text/plain' --post-file "$2" "$bf_url/report/$1"
    else
        python -c 'import sys, urllib2
urllib2.urlopen(urllib2.Request(sys.argv[1], open(sys.argv[2]).read(), {"Content-Type": "text/plain"}))' "$bf_url/report/$1" "$2"
    fi
}
