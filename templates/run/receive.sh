# What a run does on the host with what comes on standard input: a line with how, with sizes and with names of secrets; a
# line with the script's arguments; the script; the secrets, one in a line. It says first whose stamp is there. Whoever
# reads this takes comments out and makes one line of the rest, for any login shell to take it in quotes: each line
# ends a command or leaves one open, without an apostrophe, a backslash or an exclamation mark.
umask 077;
set -f;
trap "" HUP PIPE;
LC_ALL=C; export LC_ALL;
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin;
state=/var/lib/bootforge; dir=; host=-;
{ read -r word host rest </etc/bootforge/stamp; } 2>/dev/null;
for base in /run /dev/shm; do
    grep -q "^[^ ]* $base tmpfs " /proc/mounts || continue;
    set +f;
    for old in "$base"/bootforge.*.*; do
        [ "$(stat -c "%u %a %F" "$old" 2>/dev/null)" = "0 700 directory" ] || continue;
        word=${old#"$base"/bootforge.};
        kill -0 "${word%%.*}" 2>/dev/null || rm -rf "$old";
    done;
    set -f;
    [ -n "$dir" ] || dir=$(mktemp -d "$base/bootforge.$$.XXXXXX") || dir=;
done;
[ -n "$dir" ] || dir=$(mktemp -d "/tmp/bootforge.$$.XXXXXX") || exit 5;
# shellcheck disable=SC2317,SC2329 # the trap calls it
clean() { rm -rf "$dir"; };
trap clean EXIT;
trap "exit 130" INT;
trap "exit 143" TERM;
echo "bootforge-ready ${host:--}";
read -r mode size total names && read -r words || exit 5;
cat >"$dir/received" || exit 5;
if [ "$(wc -c <"$dir/received")" -ne "$total" ]; then
    echo "bootforge: the transfer was cut off" >&2;
    exit 5;
fi;
script=$dir/bootstrap;
head -c "$size" "$dir/received" >"$script" && mkdir "$dir/secrets" || exit 5;
tail -c "+$((size + 1))" "$dir/received" >"$dir/values" || exit 5;
count=0;
for name in $names; do
    count=$((count + 1));
    sed -n "${count}p" "$dir/values" >"$dir/secrets/$name" || exit 5;
done;
rm -f "$dir/received" "$dir/values";
if [ "$mode" = run ]; then
    new=$state/bootstrap.new.$$;
    if mkdir -p "$state" && cp "$script" "$new" && mv -f "$new" "$state/bootstrap"; then
        script=$state/bootstrap;
    else
        rm -f "$new";
        echo "bootforge: $state/bootstrap could not be written" >&2;
        exit 5;
    fi;
fi;
# shellcheck disable=SC2086 # arguments have no blanks, and nothing is a pattern
sh "$script" $words --secrets "$dir/secrets" </dev/null;
exit $?;
