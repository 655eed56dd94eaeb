# Volumes: groups, logical volumes, file systems and mounts on the disks of arrays. What is there is never destroyed: only
# a disk on which nothing is found is written to. What was begun on such a disk and not ended is remembered in ok/.

# bf_multipath_reconfigure: the daemon reads multipath.conf; one that does not run will when it starts.
bf_multipath_reconfigure() {
    bf_has multipathd || return 0
    bf_within 60 multipathd -kreconfigure </dev/null && return 0
    case $bf_init in
    systemd) ! systemctl is-active multipathd >/dev/null ;;
    *) ! service multipathd status >/dev/null 2>&1 ;;
    esac
}

# bf_lvm_filter KEY FILTER: KEY of section devices in lvm.conf is FILTER; the rest of the file stays.
bf_lvm_filter() {
    bf_conf=/etc/lvm/lvm.conf
    if [ ! -f "${BF_ROOT-}$bf_conf" ]; then
        [ -n "$bf_dry" ] && [ "$bf_would" -gt 0 ] && ! bf_change "$bf_conf" && return 0
        bf_fail "there is no $bf_conf"
        return
    fi
    bf_edited=$(bf_key=$1 bf_line="$1 = $2" awk '
        BEGIN { key = ENVIRON["bf_key"]; line = ENVIRON["bf_line"] }
        open && $0 ~ "^[ \t]*" key "[ \t]*=" {
            # A list may go on over lines.
            while ($0 !~ /\]/ && (getline next_line) > 0) $0 = next_line
            next
        }
        { print }
        /^[ \t]*devices([ \t]*\{)?[ \t]*$/ { begins = 1 }
        begins && /\{/ { print "\t" line; begins = 0; open = 1; done = 1; next }
        open && /^[ \t]*\}/ { open = 0 }
        END { if (!done) printf "devices {\n\t%s\n}\n", line }
    ' "${BF_ROOT-}$bf_conf" && echo .) || return 1
    bf_edited=${bf_edited%.}
    bf_put "$bf_conf" 644 root:root <<EOS
${bf_edited%"$bf_newline"}
EOS
}

# bf_lvm_scope KEY FILTER: LVM sees the maps of volumes and no path below them: by its file of devices, to which
# bf_volume adds them, where LVM has one; by KEY = FILTER in lvm.conf where it has none.
bf_lvm_scope() {
    if bf_has lvmdevices; then return 0; fi
    bf_lvm_filter "$1" "$2"
}

# bf_fstab <EDITS: as bf_edits, of /etc/fstab.
bf_fstab() {
    bf_edits /etc/fstab
}

# bf_volume NAME DEVICE WWID SIZE GROUP LOGICAL NODE TYPE MOUNT SHARED: the volume is DEVICE, has WWID and SIZE (MiB), and
# on it are GROUP and LOGICAL, of which NODE is the device, a file system of TYPE, mounted at MOUNT; what is empty is not
# wanted. A disk that others share is left blank.
bf_volume() {
    bf_name=$1 bf_disk=$2 bf_wwid=$3 bf_size=$4 bf_group=$5 bf_logical=$6 bf_node=$7 bf_fs=$8 bf_mount=$9
    shift 9
    bf_shared=$1 bf_blank=''
    if ! bf_appears "$bf_disk"; then
        if [ -n "$bf_dry" ] && [ "$bf_would" -gt 0 ]; then
            [ -z "$bf_group$bf_fs" ] || bf_change "what is on $bf_name, when it is there"
            return 0
        fi
        bf_fail "there is no $bf_disk: the array does not give this host a volume of WWID $bf_wwid"
        return
    fi
    bf_disk=${BF_ROOT-}$bf_disk
    bf_is_planned_disk && bf_group_on && bf_logical_in && bf_file_system && bf_mounted
}

# bf_appears PATH: waits until there is PATH: for udev and multipathd, after a login. Not for long when nobody could log
# in at all.
bf_appears() {
    bf_nap=${BF_SAN_WAIT:-60}
    case $bf_bad in
    *' iscsi-login '*) [ "${bf_open-}" != "$bf_newline" ] || bf_nap=3 ;;
    esac
    [ -z "$bf_dry" ] || bf_nap=0
    while [ ! -e "${BF_ROOT-}$1" ]; do
        [ "$bf_nap" -gt 0 ] || return 1
        # Whoever missed the event of a path makes the map now.
        case $bf_nap:$1 in
        30:/dev/mapper/*) bf_within 30 multipath -v0 </dev/null >/dev/null 2>&1 ;;
        esac
        bf_nap=$((bf_nap - 1))
        sleep 1
    done
}

# bf_is_planned_disk: whether bf_disk has the WWID that was planned; a name alone can be another's.
bf_is_planned_disk() {
    bf_is=
    case $bf_disk in
    */mapper/*)
        bf_is=$(bf_within 60 dmsetup info -c --noheadings -o uuid "${bf_disk##*/}" 2>/dev/null </dev/null)
        bf_is=${bf_is#mpath-}
        ;;
    *)
        bf_real=$(readlink -f "$bf_disk")
        for bf_place in /lib/udev /usr/lib/udev /sbin; do
            bf_place=${BF_ROOT-}$bf_place/scsi_id
            [ -x "$bf_place" ] || continue
            case $bf_place in
            */udev/*) bf_is=$(bf_within 60 "$bf_place" --whitelisted "--device=$bf_real" </dev/null) ;;
            *) bf_is=$(bf_within 60 "$bf_place" -g -u -s "/block/${bf_real##*/}" </dev/null) ;;
            esac
            break
        done
        ;;
    esac
    [ "$bf_is" = "$bf_wwid" ] || bf_fail "$bf_disk is ${bf_is:-a disk of unknown WWID}, and $bf_wwid was planned"
}

# bf_fits: whether the disk has the size that was planned, or up to a hundredth and 16 MiB more: arrays round up.
bf_fits() {
    [ -n "$bf_size" ] || return 0
    bf_program blockdev
    # mksh counts in 32 bits.
    bf_has_size=$(bf_within 60 "$bf_run" --getsize64 "$bf_disk" </dev/null | awk '{ printf "%d", $1 / 1048576 }')
    if [ "${bf_has_size:-0}" -ge "$bf_size" ] && [ "$bf_has_size" -le $((bf_size + bf_size / 100 + 16)) ]; then
        return 0
    fi
    bf_fail "$bf_disk has $bf_has_size MiB, and $bf_size were planned: it is left as it is"
}

# bf_tell_growth: says when the array gives more, or less, than was planned. What is on the disk stays as large as it is.
bf_tell_growth() {
    bf_told=$bf_text
    bf_fits || bf_text="$bf_told${bf_told:+, }$bf_disk has $bf_has_size MiB, and $bf_size were planned: nothing is grown"
}

# bf_look DEVICE: sets bf_type to what is on it: the type that blkid knows, 'unknown data', or nothing when blkid and
# wipefs find nothing and the first 2 MiB are zeros: lvcreate clears what is behind the first. What cannot be read is not
# blank.
bf_look() {
    bf_program blkid
    bf_type=$(bf_within 60 "$bf_run" -c /dev/null -o value -s TYPE -s PTTYPE "$1" 2>/dev/null </dev/null)
    bf_type=${bf_type%%"$bf_newline"*}
    [ -z "$bf_type" ] || return 0
    if bf_has wipefs && [ -n "$(bf_within 60 wipefs "$1" 2>&1 </dev/null)" ]; then
        bf_type='a signature'
    elif ! cmp -s -n 2097152 "$1" /dev/zero; then
        bf_type='unknown data'
    fi
}

# bf_blank_disk: whether there is nothing on the disk, and it may be written to.
bf_blank_disk() {
    if [ -n "$bf_shared" ]; then
        bf_fail "$bf_disk is blank, and other hosts have it too: make what is to be on it by hand, on one of them"
        return
    fi
    bf_fits
}

# bf_lvm COMMAND...: LVM's commands ask on standard input, and the answer is no.
bf_lvm() {
    bf_within 120 "$@" </dev/null
}

# bf_group_on: the group is on the disk.
bf_group_on() {
    [ -n "$bf_group" ] || return 0
    bf_look "$bf_disk"
    bf_mark=ok/group-$bf_wwid
    bf_blank=
    case $bf_type in
    LVM2_member) ;;
    '') bf_blank=1 ;;
    *)
        bf_fail "$bf_disk carries $bf_type, and the group $bf_group was planned: it is left as it is"
        return
        ;;
    esac
    bf_in=
    if [ -z "$bf_blank" ]; then
        if bf_has lvmdevices; then
            bf_in=$(bf_lvm pvs --devices "$bf_disk" --noheadings -o vg_name "$bf_disk" 2>/dev/null)
        else
            bf_in=$(bf_lvm pvs --noheadings -o vg_name "$bf_disk" 2>/dev/null)
        fi
        bf_in=${bf_in#"${bf_in%%[! ]*}"} bf_in=${bf_in%"${bf_in##*[! ]}"}
    fi
    if [ "$bf_in" = "$bf_group" ]; then
        [ -n "$bf_dry" ] || bf_state_drop "$bf_mark"
        bf_tell_growth
        bf_known_to_lvm
        return
    elif [ -n "$bf_in" ]; then
        bf_fail "$bf_disk belongs to the group $bf_in, and $bf_group was planned: it is left as it is"
        return
    elif [ -z "$bf_blank" ] && [ ! -e "$bf_state/$bf_mark" ]; then
        bf_fail "$bf_disk is a physical volume of a group that cannot be seen: it is left as it is"
        return
    fi
    bf_blank_disk || return 1
    if bf_lvm vgs "$bf_group" >/dev/null 2>&1; then
        bf_fail "there is a group $bf_group already, on another disk than $bf_disk"
        return
    fi
    bf_change "group $bf_group" || return 0
    bf_state_put "$bf_mark" || return 1
    bf_let_lvm_know || return 1
    [ -z "$bf_blank" ] || bf_hear bf_lvm pvcreate "$bf_disk" || bf_failed_to pvcreate || return 1
    bf_hear bf_lvm vgcreate "$bf_group" "$bf_disk" || bf_failed_to vgcreate || return 1
    bf_state_drop "$bf_mark"
}

# bf_unawaited: systemd waits no more for the device of bf_mount: it would try to mount what is not there yet, as soon as
# the device is, and have it in use. Nothing is unmounted.
bf_unawaited() {
    [ -n "$bf_mount" ] && [ -d "${BF_ROOT-}/run/systemd/system" ] && ! bf_mount_of "$bf_mount" || return 0
    bf_unit=$(systemd-escape -p --suffix=mount "$bf_mount" 2>/dev/null) || return 0
    bf_within 100 systemctl stop "$bf_unit" >/dev/null 2>&1
    return 0
}

# bf_once_free COMMAND...: as bf_hear, and again while somebody has the disk in use, for whom is waited.
bf_once_free() {
    bf_nap=15
    until bf_hear "$@"; do
        case $bf_nap:$bf_said in
        [1-9]*:*busy* | [1-9]*:*'in use'* | [1-9]*:*'Failed to wipe'*) sleep 1 ;;
        *) return 1 ;;
        esac
        bf_nap=$((bf_nap - 1))
    done
}

# bf_failed_to WHAT: the step fails with the last line of bf_said, but not with mount's that tells where to look, too.
bf_failed_to() {
    bf_said=${bf_said%"$bf_newline"*'dmesg(1)'*}
    bf_fail "$1: ${bf_said##*"$bf_newline"}"
}

# bf_known_to_lvm: LVM uses the disk; with a file of devices it does only when the disk is in it.
bf_known_to_lvm() {
    bf_has lvmdevices || return 0
    bf_lvm pvs "$bf_disk" >/dev/null 2>&1 && return 0
    bf_change "$bf_name in LVM's file of devices" || return 0
    bf_let_lvm_know
}

# bf_let_lvm_know: adds the disk to LVM's file of devices. Where there is none yet every disk is used; the first entry
# would end that, so what is in use comes first.
bf_let_lvm_know() {
    bf_has lvmdevices || return 0
    if [ ! -e "${BF_ROOT-}/etc/lvm/devices/system.devices" ] && [ -n "$(bf_lvm vgs --noheadings -o vg_name 2>/dev/null)" ]; then
        bf_hear bf_lvm vgimportdevices -a || bf_failed_to vgimportdevices || return 1
    fi
    bf_hear bf_lvm lvmdevices --adddev "$bf_disk" || bf_failed_to lvmdevices
}

# bf_logical_in: the logical volume is in the group, and active.
bf_logical_in() {
    [ -n "$bf_group" ] || return 0
    if [ -n "$bf_dry" ] && [ -n "$bf_blank" ]; then return 0; fi
    bf_all=$(bf_lvm lvs --noheadings -o lv_name "$bf_group" 2>/dev/null) || bf_all=
    # shellcheck disable=SC2086 # names have no blanks
    set -- $bf_all
    case " $* " in
    *" ${bf_logical:-/} "*) [ ! -e "${BF_ROOT-}$bf_node" ] || return 0 ;;
    *)
        [ -n "$bf_logical" ] || return 0
        bf_change "logical volume $bf_logical" || return 0
        bf_unawaited
        bf_once_free bf_lvm lvcreate -l 100%FREE -n "$bf_logical" "$bf_group" || bf_failed_to lvcreate || return 1
        bf_appears "$bf_node" || bf_fail "lvcreate has made no $bf_node"
        return
        ;;
    esac
    bf_act "$bf_group activated" vgchange -ay "$bf_group" </dev/null || return 1
    [ -n "$bf_dry" ] || bf_appears "$bf_node" || bf_fail "$bf_group is active, and there is no $bf_node"
}

# bf_file_system: the file system is on bf_node. One that was begun and not ended is made again if it cannot be mounted.
bf_file_system() {
    [ -n "$bf_fs" ] || return 0
    bf_at=${BF_ROOT-}$bf_node
    if [ ! -e "$bf_at" ]; then
        bf_change "$bf_fs on $bf_node"
        return 0
    fi
    ! bf_mount_of "$bf_mount" || return 0
    bf_look "$bf_at"
    bf_mark=ok/mkfs-$bf_wwid bf_again=
    if { read -r bf_line <"$bf_state/$bf_mark"; } 2>/dev/null && [ "$bf_line" = "$bf_node" ]; then bf_again=1; fi
    case $bf_again:$bf_type in
    1:"$bf_fs") if [ -z "$bf_dry" ] && bf_mounts_at_all; then bf_again=''; fi ;;
    *:"$bf_fs" | *:'') ;;
    1:'unknown data' | 1:'a signature') ;;
    *)
        bf_fail "$bf_node carries $bf_type, and $bf_fs was planned: it is left as it is"
        return
        ;;
    esac
    case $bf_again:$bf_type in
    :?*)
        [ -n "$bf_group" ] || bf_tell_growth
        [ -n "$bf_dry" ] || bf_state_drop "$bf_mark"
        return 0
        ;;
    esac
    [ -n "$bf_group" ] || bf_blank_disk || return 1
    bf_change "$bf_fs on $bf_node" || return 0
    bf_state_put "$bf_mark" "$bf_node" || return 1
    case $bf_again$bf_fs in
    1xfs) set -- -f ;;
    1*) set -- -F ;;
    *) set -- ;;
    esac
    bf_program "mkfs.$bf_fs"
    bf_unawaited
    bf_once_free bf_within 7200 "$bf_run" -q "$@" "$bf_at" </dev/null || bf_failed_to "mkfs.$bf_fs" || return 1
    bf_state_drop "$bf_mark"
}

# bf_mounts_at_all: whether bf_at can be mounted, which tells a whole file system from half of one.
bf_mounts_at_all() {
    bf_state_mount mount || return 1
    bf_program mount
    bf_within 300 "$bf_run" -t "$bf_fs" -o ro "$bf_at" "$bf_state/mount" </dev/null >/dev/null 2>&1 || return 1
    bf_program umount
    bf_within 300 "$bf_run" "$bf_state/mount" </dev/null >/dev/null 2>&1
    bf_state_unmounted mount
}

# bf_mount_of PATH: whether something is mounted at PATH; sets bf_from to its device.
bf_mount_of() {
    bf_from=
    [ -n "$1" ] && [ -r "${BF_ROOT-}/proc/mounts" ] || return 1
    while read -r bf_word bf_value _; do
        # What is mounted last is seen.
        [ "$bf_value" != "$1" ] || bf_from=$bf_word
    done <"${BF_ROOT-}/proc/mounts"
    [ -n "$bf_from" ]
}

# bf_is_node DEVICE: whether DEVICE is bf_node by another name.
bf_is_node() {
    [ "$(readlink -f "${BF_ROOT-}$1")" = "$(readlink -f "${BF_ROOT-}$bf_node")" ]
}

# bf_mounted: it is mounted, as /etc/fstab says. Nothing is unmounted.
bf_mounted() {
    [ -n "$bf_mount" ] || return 0
    if bf_mount_of "$bf_mount"; then
        bf_is_node "$bf_from" && return 0
        bf_fail "$bf_from is mounted at $bf_mount, and $bf_node was planned"
        return
    fi
    set +f
    set -- "${BF_ROOT-}$bf_mount"/*
    set -f
    [ ! -e "$1" ] || bf_note "$bf_mount is not empty: what is in it will be hidden"
    bf_change "$bf_mount mounted" || return 0
    bf_mount_point "$bf_mount" || return 1
    bf_program mount
    # systemd mounts what it knows from /etc/fstab, too, as soon as the device is there.
    bf_hear bf_within 300 "$bf_run" "$bf_mount" </dev/null || { bf_mount_of "$bf_mount" && bf_is_node "$bf_from"; } ||
        bf_failed_to mount || return 1
    if bf_has restorecon; then restorecon "$bf_mount" >/dev/null 2>&1; fi
    return 0
}

# bf_paths NAME NUMBER...: each map has at least that many paths that work. They come one after the other.
bf_paths() {
    bf_nap=${BF_SAN_WAIT:-30}
    case $bf_dry$bf_bad in
    1* | *' iscsi-login '*) bf_nap=1 ;;
    esac
    while ! bf_count_paths "$@"; do
        bf_nap=$((bf_nap - 1))
        if [ "$bf_nap" -le 0 ]; then
            [ -n "$bf_dry" ] && [ "$bf_would" -gt 0 ] && return 0
            bf_fail "${bf_wrong#, }"
            return
        fi
        sleep 1
    done
}

# bf_count_paths NAME NUMBER...: sets bf_wrong to those maps that have fewer. A path is MAJOR:MINOR in the map's status, and
# A after it says that it works.
bf_count_paths() {
    bf_wrong=
    while [ $# -ge 2 ]; do
        bf_count=0 bf_last=
        for bf_word in $(bf_within 60 dmsetup status "$1" 2>/dev/null </dev/null); do
            case $bf_last/$bf_word in
            [0-9]*:[0-9]*/A) bf_count=$((bf_count + 1)) ;;
            esac
            bf_last=$bf_word
        done
        [ "$bf_count" -ge "$2" ] || bf_wrong="$bf_wrong, $1 has $bf_count of $2 paths"
        shift 2
    done
    [ -z "$bf_wrong" ]
}
