# bf_upload_logs: what the installer has written so far. The first that cannot be sent is the last that is tried, so
# that a server that is gone costs a minute; nothing here changes how the install ended.
bf_upload_logs() (
    system=${BF_ROOT-}/mnt/sysimage
    [ ! -d "${BF_ROOT-}/mnt/sysroot/root" ] || system=${BF_ROOT-}/mnt/sysroot
    bf_upload post.log "$system/root/bootforge-post.log" || exit 0
    bf_upload install.log "$system/root/install.log" || exit 0
    for name in anaconda.log program.log storage.log packaging.log syslog; do
        bf_upload "$name" "${BF_ROOT-}/tmp/$name" || exit 0
    done
)

# bf_failed: the installer stopped; says so, with the last that it wrote.
bf_failed() (
    umask 077
    told=${BF_ROOT-}/tmp/bf-failed
    {
        printf 'failed\t0\tinstaller\tthe installer stopped before the end; its logs say why\n'
        for name in anaconda.log program.log; do
            [ -s "${BF_ROOT-}/tmp/$name" ] || continue
            printf '\n== %s\n' "$name"
            tail -n 40 "${BF_ROOT-}/tmp/$name"
        done
    } >"$told"
    bf_report failed "$told" || echo "the report could not be sent"
    rm -f "$told"
    bf_upload_logs
)
