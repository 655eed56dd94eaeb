# bf_network_first: on UEFI the entry that booted this installer, which is the network's, goes before the one that the
# installer has just added for the disk. 'bootloader --leavebootorder' does not do that: EL7 and EL8 add the entry in
# front all the same, EL9 and later leave it out of the order altogether (anaconda: bootloader/efi.py).
bf_network_first() (
    [ -d "${BF_ROOT-}/sys/firmware/efi" ] && command -v efibootmgr >/dev/null 2>&1 || exit 0
    entries=$(efibootmgr) || exit 1
    current=$(echo "$entries" | sed -n 's/^BootCurrent: *//p')
    order=$(echo "$entries" | sed -n 's/^BootOrder: *//p')
    [ -n "$current" ] && [ -n "$order" ] || exit 0
    wanted=$current
    IFS=,
    for entry in $order; do
        [ "$entry" = "$current" ] || wanted=$wanted,$entry
    done
    [ "$wanted" = "$order" ] || efibootmgr -q -o "$wanted"
)
