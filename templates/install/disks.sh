# Which disks of this machine the site means. Nothing here writes to a disk. POSIX sh without `local`, and few tools:
# EL5's and EL6's installers have bash, dd and little else (anaconda, rhel6-branch: scripts/upd-instroot). BF_ROOT is
# prefixed to every path.
LC_ALL=C
export LC_ALL
bf_root=${BF_ROOT-} bf_real='' bf_taken=' ' bf_refused=''
[ -z "$bf_root" ] || bf_real=$(cd -P "$bf_root" && pwd -P)
bf_nl='
'

# bf_refuse TEXT: remembers why the install may not go on.
bf_refuse() {
    bf_refused=$bf_refused$1$bf_nl
}

# bf_find FIRST NAME COUNT KEY=VALUE...: finds the COUNT disks of which all that is said is true, and puts their names
# into bf_disk<FIRST> and the following. KEY: path, id, wwn, serial, or min_size and max_size in MiB.
bf_find() {
    bf_first=$1 bf_name=$2 bf_count=$3
    shift 3
    bf_hits='' bf_hit=0 bf_unfit=''
    for bf_dir in "$bf_root"/sys/block/*; do
        bf_is_disk || continue
        bf_fits "$@" || continue
        bf_bar
        if [ -n "$bf_barred" ]; then
            bf_unfit="$bf_unfit, $bf_device is $bf_barred"
        else
            bf_hits="$bf_hits $bf_device" bf_hit=$((bf_hit + 1))
        fi
    done
    if [ "$bf_hit" -ne "$bf_count" ]; then
        bf_refuse "disk $bf_name: $bf_count wanted ($*), found:${bf_hits:- none}$bf_unfit"
        return 0
    fi
    for bf_device in $bf_hits; do
        case $bf_taken in
        *" $bf_device "*) bf_refuse "disk $bf_name: $bf_device is found under two names" ;;
        esac
        bf_taken="$bf_taken$bf_device "
        eval "bf_disk$bf_first=\$bf_device bf_name$bf_first=\$bf_name"
        bf_first=$((bf_first + 1))
    done
}

# bf_is_disk: whether bf_dir, below /sys/block, is a whole disk; sets bf_sys to the kernel's name of it, bf_device to
# its name below /dev, bf_mib to its size. Not arrays, multipath maps, loops, CDs, and the parts of NVMe and eMMC that
# are no disks.
bf_is_disk() {
    bf_sys=${bf_dir##*/} bf_sectors=0
    case $bf_sys in
    *[!a-z0-9!]* | nvme*c*n* | mmcblk*boot* | mmcblk*rpmb) return 1 ;;
    sd* | hd* | vd* | xvd* | nvme* | cciss!* | ida!* | mmcblk*) ;;
    *) return 1 ;;
    esac
    case $bf_sys in
    *!*) bf_device=${bf_sys%%!*}/${bf_sys#*!} ;;
    *) bf_device=$bf_sys ;;
    esac
    { read -r bf_sectors <"$bf_dir/size"; } 2>/dev/null
    case $bf_sectors in
    '' | 0* | *[!0-9]*) return 1 ;;
    esac
    bf_mebibytes
}

# bf_mebibytes: bf_mib from bf_sectors, in numbers of 32 bits, which is what some shells have.
bf_mebibytes() {
    bf_low=$bf_sectors bf_high=0
    case $bf_sectors in
    ????*) bf_high=${bf_sectors%???} bf_low=${bf_sectors#"${bf_sectors%???}"} ;;
    esac
    while [ "${bf_low#0}" != "$bf_low" ] && [ ${#bf_low} -gt 1 ]; do bf_low=${bf_low#0}; done
    bf_whole=$((bf_high / 256)) # of 256,000 sectors, which are 125 MiB
    bf_mib=$((bf_whole * 125 + (bf_high % 256 * 1000 + bf_low) / 2048))
}

# bf_fits KEY=VALUE...: whether all of it is true of the disk.
bf_fits() {
    for bf_rule in "$@"; do
        bf_value=${bf_rule#*=}
        case $bf_rule in
        path=*) bf_is_at "$bf_value" ;;
        id=*) bf_is_at "/dev/disk/by-id/$bf_value" ;;
        serial=*) bf_tell && bf_among "$bf_value" "$bf_serials" ;;
        wwn=*) bf_tell && bf_among "$bf_value" "$bf_wwns" ;;
        min_size=*) [ "$bf_mib" -ge "$bf_value" ] ;;
        max_size=*) [ "$bf_mib" -le "$bf_value" ] ;;
        *) false ;;
        esac || return 1
    done
}

# bf_is_at PATH: whether PATH is the disk, or a link to it.
bf_is_at() {
    [ "$1" != "/dev/$bf_device" ] || return 0
    bf_target=$(readlink -f "$bf_root$1" 2>/dev/null) && [ -n "$bf_target" ] && [ -e "$bf_target" ] &&
        [ "$bf_target" = "$bf_real/dev/$bf_device" ]
}

# bf_among WORD LINES: whether WORD is one of the lines.
bf_among() {
    case $bf_nl$2 in
    *"$bf_nl$1$bf_nl"*) return 0 ;;
    esac
    return 1
}

# bf_tell: bf_serials and bf_wwns, what the kernel and udev say of the disk, a line each.
bf_tell() {
    bf_serials='' bf_wwns=''
    for bf_file in serial device/serial device/vpd_pg80 wwid device/wwid; do
        [ -f "$bf_dir/$bf_file" ] || continue
        bf_skip=0
        [ "$bf_file" != device/vpd_pg80 ] || bf_skip=4 # the page's header
        bf_text=$(dd if="$bf_dir/$bf_file" bs=1 skip=$bf_skip count=256)
        read -r bf_text <<EOF
$bf_text
EOF
        case $bf_file in # and read has taken the blanks off both ends
        *wwid) bf_wwns=${bf_wwns}0x${bf_text#naa.}$bf_nl$bf_text$bf_nl ;;
        *) bf_serials=$bf_serials$bf_text$bf_nl ;;
        esac
    done
    bf_known=$(udevadm info --query=property --name="/dev/$bf_device") || bf_known=''
    while IFS='=' read -r bf_key bf_text; do
        case $bf_key in
        ID_SERIAL_SHORT | ID_SCSI_SERIAL | SCSI_IDENT_SERIAL) bf_serials=$bf_serials$bf_text$bf_nl ;;
        ID_WWN | ID_WWN_WITH_EXTENSION) bf_wwns=$bf_wwns$bf_text$bf_nl ;;
        esac
    done <<EOF
$bf_known
EOF
} 2>/dev/null

# bf_bar: sets bf_barred to why nobody may install to the disk: it is a SAN's, or can be taken out. By the place of
# the device in /sys, which has the bus in it, and by what it is a part of.
bf_bar() {
    bf_barred='' bf_flag=''
    bf_place=$(cd -P "$bf_dir/device" 2>/dev/null && pwd -P) || bf_place=''
    bf_place=${bf_place#"$bf_real"}
    bf_host=${bf_place##*/host}
    bf_host=host${bf_host%%/*}
    case $bf_place/ in
    /) bf_barred='on an unknown bus' ;;
    */usb[0-9]*) bf_barred='on USB' ;;
    */session[0-9]*) bf_barred='on iSCSI' ;;
    */rport-[0-9]*) bf_barred='on Fibre Channel' ;;
    */nvme-fabrics/*) bf_barred='on a network' ;;
    esac
    for bf_class in fc_host iscsi_host srp_host; do
        [ ! -e "$bf_root/sys/class/$bf_class/$bf_host" ] || bf_barred="on a SAN ($bf_class)"
    done
    for bf_file in "$bf_dir"/device/transport "$bf_dir"/device/nvme*/transport; do
        if [ -f "$bf_file" ] && read -r bf_flag <"$bf_file" && [ "$bf_flag" != pcie ]; then
            bf_barred='on a network'
        fi
    done
    for bf_file in "$bf_dir"/holders/dm-*/dm/uuid; do
        if [ -f "$bf_file" ] && { read -r bf_flag <"$bf_file" || :; }; then
            case $bf_flag in
            mpath-*) bf_barred='a path of a multipath device' ;;
            esac
        fi
    done
    bf_flag=''
    { read -r bf_flag <"$bf_dir/removable"; } 2>/dev/null
    [ "$bf_flag" != 1 ] || bf_barred='removable'
    return 0
}
