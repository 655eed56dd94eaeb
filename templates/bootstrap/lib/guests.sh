# What a host of guests does for them. Nothing here stops or starts a guest, or destroys anything of its disks.

# bf_xen_memory LOADER WORD: WORD, which is dom0_mem=..., on Xen's command line: of GRUB 2 in /etc/default/grub, of its
# predecessor in grub.conf, at every kernel that Xen boots (in lines as 'kernel /xen.gz-2.6.18-398.el5').
bf_xen_memory() {
    if [ "$1" = grub2 ]; then
        bf_xen_default "$2"
        return
    fi
    bf_found=
    for bf_file in /boot/grub/grub.conf /boot/efi/EFI/redhat/grub.conf; do
        [ -f "${BF_ROOT-}$bf_file" ] || continue
        bf_edited=$(bf_line=$2 awk '
            $1 == "kernel" && $2 ~ /\/xen[^\/]*\.gz[^\/]*$/ {
                gsub(/[ \t]+dom0_mem=[^ \t]*/, "")
                sub(/[ \t]*$/, " " ENVIRON["bf_line"])
                found = 1
            }
            { print }
            END { if (!found) exit 3 }
        ' "${BF_ROOT-}$bf_file" && echo .) || continue
        bf_found=1 bf_edited=${bf_edited%.}
        bf_put "$bf_file" 600 root:root <<EOS || return
${bf_edited%"$bf_newline"}
EOS
    done
    [ -n "$bf_found" ] || bf_note "no kernel is booted by Xen yet"
}

# bf_xen_default WORD: GRUB_CMDLINE_XEN_DEFAULT (20_linux_xen of GRUB 2), of which other words stay.
bf_xen_default() {
    bf_cmdline=
    if [ -f "${BF_ROOT-}/etc/default/grub" ]; then
        while IFS= read -r bf_line; do
            case $bf_line in
            GRUB_CMDLINE_XEN_DEFAULT=*) bf_cmdline=${bf_line#*=} ;;
            esac
        done <"${BF_ROOT-}/etc/default/grub"
    fi
    case $bf_cmdline in
    *[\$\`\\]* | ?*[\"\']?*)
        bf_fail "GRUB_CMDLINE_XEN_DEFAULT of /etc/default/grub is more than words"
        return
        ;;
    esac
    bf_cmdline=${bf_cmdline#[\"\']} bf_cmdline=${bf_cmdline%[\"\']} bf_line=''
    for bf_word in $bf_cmdline; do
        case $bf_word in
        dom0_mem=*) ;;
        *) bf_line="$bf_line$bf_word " ;;
        esac
    done
    bf_assign /etc/default/grub GRUB_CMDLINE_XEN_DEFAULT "$bf_line$1" '"'
}

# bf_grub_config: makes the configurations of GRUB 2 anew that there are; their links in /etc say which.
bf_grub_config() {
    bf_made=
    for bf_entry in "${BF_ROOT-}/etc/grub2.cfg" "${BF_ROOT-}/etc/grub2-efi.cfg"; do
        bf_file=$(readlink -f "$bf_entry" 2>/dev/null) || continue
        [ -f "$bf_file" ] || continue
        bf_within 300 grub2-mkconfig -o "$bf_file" || return 1
        bf_made=1
    done
    [ -n "$bf_made" ] || { echo "there is no grub2.cfg" && false; }
}

# bf_guest_disk GROUP VOLUME MIB [grow]: a logical volume of at least that size. One that is there is never made smaller,
# and larger only with grow. What a new one holds of who had its place before is left to it: the guest's own installer
# looks before it writes (allocation/wipe_signatures_when_zeroing_new_lvs: lvm.conf(5); a lvm that does not know it takes
# no notice).
bf_guest_disk() {
    if ! bf_volumes=$(lvm lvs --noheadings --nosuffix --units m -o lv_name,lv_size "$1" 2>/dev/null); then
        bf_fail "there is no volume group $1"
        return
    fi
    bf_size=
    while read -r bf_name bf_mib; do
        [ "$bf_name" != "$2" ] || bf_size=${bf_mib%%.*}
    done <<EOS
$bf_volumes
EOS
    if [ -z "$bf_size" ]; then
        bf_act "$1/$2 of $3 MiB" lvm lvcreate --config 'allocation { wipe_signatures_when_zeroing_new_lvs = 0 }' \
            -L "${3}m" -n "$2" "$1"
    elif [ "$bf_size" -ge "$3" ]; then
        [ "$bf_size" -lt $(($3 + 1024)) ] || bf_note "$1/$2 has $bf_size MiB, and $3 are planned"
    elif [ "$4" = grow ]; then
        bf_act "$1/$2 from $bf_size to $3 MiB" lvm lvextend -L "${3}m" "$1/$2"
    else
        bf_note "$1/$2 has $bf_size MiB, and $3 are planned; 'grow: true' lets it grow"
    fi
}

# bf_xen_guests TOOL SUFFIX [NAME auto|'']...: whom xendomains starts, by links in /etc/xen/auto; and the definitions of
# guests that are not here any more are taken away. One of them that still runs is told at every run, for it must not
# run twice.
bf_xen_guests() {
    bf_tool=$1 bf_suffix=$2 bf_there=' ' bf_left=''
    shift 2
    bf_recall guests
    bf_pairs=$#
    while [ "$bf_pairs" -gt 0 ]; do
        bf_there="$bf_there$1 "
        set -- "$@" "$1" "$2"
        shift 2
        bf_pairs=$((bf_pairs - 2))
    done
    for bf_guest in $bf_ours; do
        case $bf_there in
        *" $bf_guest "*) continue ;;
        esac
        bf_absent "/etc/xen/auto/$bf_guest$bf_suffix" || return
        bf_absent "/etc/xen/$bf_guest$bf_suffix" || return
        [ "$bf_phase" != install ] || continue
        bf_within 60 "$bf_tool" list "$bf_guest" >/dev/null 2>&1 || continue
        bf_note "$bf_guest is of another host now, and runs here"
        bf_left="$bf_left $bf_guest"
    done
    # shellcheck disable=SC2086 # names have no blanks
    bf_remember guests $bf_there $bf_left || return
    while [ $# -gt 1 ]; do
        if [ "$2" = auto ]; then
            bf_link "/etc/xen/auto/$1$bf_suffix" "../$1$bf_suffix" || return
        elif [ -L "${BF_ROOT-}/etc/xen/auto/$1$bf_suffix" ]; then
            bf_absent "/etc/xen/auto/$1$bf_suffix" || return
        fi
        shift 2
    done
}

# bf_kvm_guests NAME...: libvirt forgets guests that are not here any more. One that runs goes on until it is shut down;
# its disks and the variables of its firmware stay.
bf_kvm_guests() {
    bf_there=" $* " bf_left='' bf_all=''
    bf_recall guests
    for bf_guest in $bf_ours; do
        case $bf_there in
        *" $bf_guest "*) continue ;;
        esac
        if [ -z "$bf_all" ]; then
            if ! bf_all=$(bf_virsh list --all --name 2>&1); then
                bf_fail "libvirt does not answer: ${bf_all##*"$bf_newline"}"
                return
            fi
            bf_all="$bf_newline$bf_all$bf_newline"
        fi
        case $bf_all in
        *"$bf_newline$bf_guest$bf_newline"*)
            if [ "$(bf_virsh domstate "$bf_guest" 2>/dev/null)" = running ]; then
                bf_note "$bf_guest is of another host now, and runs here"
                bf_left="$bf_left $bf_guest"
            fi
            if [ -f "${BF_ROOT-}/etc/bootforge/libvirt/$bf_guest.xml" ]; then
                bf_act "$bf_guest (undefined)" bf_virsh undefine --keep-nvram "$bf_guest" || return
            fi
            ;;
        esac
        bf_absent "/etc/bootforge/libvirt/$bf_guest.xml" || return
        [ -n "$bf_dry" ] || bf_state_drop "ok/guest-$bf_guest"
    done
    # shellcheck disable=SC2086 # names have no blanks
    bf_remember guests "$@" $bf_left
}

# bf_kvm_guest NAME [auto]: libvirt has the definition that was rendered, and starts the guest at boot or does not. What
# libvirt made of a definition is remembered by its sum, so that it is defined again when either differs; a guest that
# runs sees it at its next start.
bf_kvm_guest() {
    bf_guest=$1 bf_known=''
    bf_xml=${BF_ROOT-}/etc/bootforge/libvirt/$1.xml
    bf_guest_sum
    { read -r bf_known <"$bf_state/ok/guest-$1"; } 2>/dev/null || true
    if [ -z "$bf_sum" ] || [ "$bf_sum" != "$bf_known" ]; then
        bf_act "$1 (defined)" bf_virsh define "$bf_xml" || return
        if [ -z "$bf_dry" ]; then
            bf_guest_sum
            bf_state_put "ok/guest-$1" "$bf_sum"
        fi
    fi
    bf_auto=
    case $(bf_virsh dominfo "$1" 2>/dev/null) in
    *"Autostart:"*enable*) bf_auto=auto ;;
    esac
    [ "$bf_auto" != "$2" ] || return 0
    if [ -n "$2" ]; then
        bf_act "$1 (started at boot)" bf_virsh autostart "$1"
    else
        bf_act "$1 (not started at boot)" bf_virsh autostart --disable "$1"
    fi
}

# bf_guest_sum: sets bf_sum to the sum of bf_guest's rendered definition and of what libvirt has; to nothing when libvirt
# has none.
bf_guest_sum() {
    bf_sum=
    bf_has=$(bf_virsh dumpxml --inactive "$bf_guest" 2>/dev/null) || return 0
    bf_sum=$({ cat "$bf_xml" && printf '%s\n' "$bf_has"; } | sha256sum) || bf_sum=''
    bf_sum=${bf_sum%% *}
}

bf_virsh() {
    bf_within 60 virsh -q -c qemu:///system "$@"
}
