# Which disks may be wiped. Decides, and writes to no disk. After disks.sh; it asks for these:
#   bf_mark   this host's mark: the label of its /boot, and a tag of its volume groups
#   bf_guard  refuse or off
#   bf_wipe   names of disks that the grant permits to wipe, with commas between, or all
# bf_disk0 becomes the disks that are to be wiped, with commas between; bf_state what is made and what is kept.
bf_disk0='' bf_state=' ' bf_pvs=''

# bf_survey NUMBER...: looks at the disks that were found, once. bf_pvs: a line PATH|GROUP|TAGS for each physical
# volume. EL5's installer has no udev, so that nodes of disks and partitions may have to be made.
bf_survey() {
    for bf_number in "$@"; do
        eval "bf_device=\$bf_disk$bf_number"
        [ -n "$bf_device" ] || continue # bf_find has refused
        bf_at=$bf_root/sys/block/$(bf_sysfs "$bf_device")
        bf_node "$bf_at" "$bf_device"
        for bf_part in "$bf_at/${bf_at##*/}"*; do
            [ ! -e "$bf_part/dev" ] || bf_node "$bf_part" "${bf_device%"${bf_device##*/}"}${bf_part##*[/!]}"
        done
    done
    bf_pvs=$(lvm pvs --noheadings --separator '|' -o pv_name,vg_name,vg_tags 2>/dev/null) || :
}

# bf_sysfs DEVICE: its name below /sys/block.
bf_sysfs() {
    case $1 in
    */*) echo "${1%%/*}!${1#*/}" ;;
    *) echo "$1" ;;
    esac
}

# bf_node DIRECTORY DEVICE: /dev/DEVICE, with the numbers that are in DIRECTORY of /sys.
bf_node() {
    bf_path=$bf_root/dev/$2
    [ -e "$bf_path" ] || { read -r bf_text <"$1/dev" && mknod "$bf_path" b "${bf_text%:*}" "${bf_text#*:}"; } 2>/dev/null
}

# bf_group NAME make|keep DISK... -- VOLUME...: decides for the disks of a group, which are numbers. `keep`: a volume
# group, which stays if it is there, with those of its volumes that are there.
bf_group() {
    bf_vg=$1 bf_kind=$2 bf_numbers='' bf_devices='' bf_named=''
    shift 2
    while [ "$1" != -- ]; do
        eval "bf_device=\$bf_disk$1 bf_name=\$bf_name$1"
        [ -n "$bf_device" ] || return 0 # bf_find has refused
        bf_numbers="$bf_numbers $1" bf_devices="$bf_devices $bf_device"
        ! bf_is_named || bf_named=1
        shift
    done
    shift
    if [ "$bf_kind" = keep ] && [ -z "$bf_named" ] && bf_is_there; then
        bf_state="${bf_state}keep:$bf_vg "
        bf_volumes=" $(lvm lvs --noheadings -o lv_name "$bf_vg" 2>/dev/null | while read -r bf_text; do
            printf '%s ' "$bf_text"
        done)"
        for bf_volume in "$@"; do
            case $bf_volumes in
            *" $bf_volume "*) bf_state="${bf_state}keep:$bf_vg/$bf_volume " ;;
            *) bf_state="${bf_state}make:$bf_vg/$bf_volume " ;;
            esac
        done
        return 0
    fi
    bf_state="${bf_state}make:$bf_vg "
    for bf_volume in "$@"; do bf_state="${bf_state}make:$bf_vg/$bf_volume "; done
    for bf_number in $bf_numbers; do
        eval "bf_device=\$bf_disk$bf_number bf_name=\$bf_name$bf_number"
        bf_disk0=${bf_disk0:+$bf_disk0,}$bf_device
        bf_may_be_wiped || bf_refuse "disk $bf_name: $bf_device is $bf_not; 'arm --wipe $bf_name' permits to wipe it"
    done
}

# bf_is_named: whether the grant permits to wipe the disk.
bf_is_named() {
    case ,$bf_wipe, in
    *,all,* | *",$bf_name,"*) return 0 ;;
    esac
    return 1
}

# bf_may_be_wiped: whether bf_device may be; else bf_not is what it is. What carries this host's mark is not enough
# for a group that is to be kept.
bf_may_be_wiped() {
    if bf_is_named || bf_is_blank; then return 0; fi
    bf_not="neither blank nor volume group $bf_vg's"
    [ "$bf_kind" = make ] || return 1
    bf_not="neither blank nor this host's own ($bf_mark)"
    [ "$bf_guard" = off ] || bf_is_marked
}

# bf_is_blank: whether the disk has no partition, and only zero bytes in its first and last MiB, where partition
# tables, file systems, volumes and arrays have their signatures. What cannot be read is not blank.
bf_is_blank() {
    bf_at=$bf_root/sys/block/$(bf_sysfs "$bf_device") bf_sectors=0
    for bf_part in "$bf_at/${bf_at##*/}"*; do
        [ ! -e "$bf_part/dev" ] || return 1
    done
    { read -r bf_sectors <"$bf_at/size"; } 2>/dev/null
    bf_mebibytes
    bf_is_zero 0 && bf_is_zero $((bf_mib > 0 ? bf_mib - 1 : 0))
}

# bf_is_zero MIB: whether the disk has only zero bytes from there on, for 2 MiB. The shell leaves zero bytes out.
bf_is_zero() {
    bf_text=$({ dd if="$bf_root/dev/$bf_device" bs=1048576 skip="$1" count=2 && echo .; } 2>/dev/null)
    [ "$bf_text" = . ]
} 2>/dev/null

# bf_is_marked: whether a file system on the disk has the mark as its label, or a volume group as its tag.
bf_is_marked() {
    bf_at=$bf_root/sys/block/$(bf_sysfs "$bf_device")
    for bf_part in "$bf_at/${bf_at##*/}"*; do
        [ -e "$bf_part/dev" ] || continue
        bf_label "$bf_root/dev/${bf_device%"${bf_device##*/}"}${bf_part##*[/!]}"
        case $bf_text in
        "$bf_mark" | "$bf_mark"[a-z]) return 0 ;;
        esac
    done
    while IFS='|' read -r bf_pv bf_of bf_tags; do
        ! bf_is_on "$bf_pv" "$bf_device" || case ,$bf_tags, in
        *",$bf_mark,"*) return 0 ;;
        esac
    done <<EOF
$bf_pvs
EOF
    return 1
}

# bf_label NODE: sets bf_text to the label of the ext or XFS file system there, '' when there is none.
bf_label() {
    bf_text=''
    if [ "$(bf_bytes "$1" 1080 2)" = "$(printf 'S\357')" ]; then
        bf_text=$(bf_bytes "$1" 1144 16)
    elif [ "$(bf_bytes "$1" 0 4)" = XFSB ]; then
        bf_text=$(bf_bytes "$1" 108 12)
    fi
} 2>/dev/null

# bf_bytes FILE OFFSET COUNT
bf_bytes() {
    dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null
}

# bf_is_there: whether the volume group is. If it is on other disks than these, or not on all of them, it refuses.
bf_is_there() {
    bf_covered=' '
    while IFS='|' read -r bf_pv bf_of bf_tags; do
        [ "$bf_of" = "$bf_vg" ] || continue
        bf_on=''
        for bf_device in $bf_devices; do
            ! bf_is_on "$bf_pv" "$bf_device" || bf_on=$bf_device
        done
        [ -n "$bf_on" ] || bf_refuse "volume group $bf_vg: it is on $bf_path too, not only on$bf_devices"
        bf_covered="$bf_covered$bf_on "
    done <<EOF
$bf_pvs
EOF
    [ "$bf_covered" != ' ' ] || return 1
    for bf_device in $bf_devices; do
        case $bf_covered in
        *" $bf_device "*) ;;
        *) bf_refuse "volume group $bf_vg: it is not on $bf_device" ;;
        esac
    done
}

# bf_is_on PATH DEVICE: whether PATH, as lvm prints it, is the disk or a partition of it.
bf_is_on() {
    bf_path=${1#"${1%%[! ]*}"}
    case $2 in
    *[0-9]) bf_rest=${bf_path#"/dev/$2p"} ;;
    *) bf_rest=${bf_path#"/dev/$2"} ;;
    esac
    case $bf_rest in
    '') return 0 ;;
    *[!0-9]*) [ "$bf_path" = "/dev/$2" ] ;;
    esac
}

# bf_line WHEN LINE: prints a storage command if that is what has been decided.
bf_line() {
    case " $bf_state" in
    *" $1 "*) printf '%s\n' "$2" ;;
    esac
}
