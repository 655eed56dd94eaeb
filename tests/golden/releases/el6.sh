#!/bin/sh
# Bootstrap of web06.prod.den.example.com. Rendered by Bootforge; the same file runs at install and ever after.
# Usage: sh bootstrap [--phase install|boot|run] [--check] [--diff] [--only STEP]... [--json] [--revision REVISION]
#        [--secrets DIRECTORY] [--check-if-new] [--apply-network]
# Prints one line per step: status, milliseconds, step, text, with tabs between; a line before them says what ran, and
# one after them how it ended. Status: ok, changed, would (--check), failed, skipped, blocked by one that failed.
# Nics are brought up anew with --apply-network only, and go back when the router or the server does not answer then.
# Exit: 0 ok, 1 --check found differences, 2 usage, 5 a step failed, 6 a handler is pending, 75 locked.

# bootstrap/lib/frame.sh

# bootstrap/lib/state.sh

# bootstrap/lib/put.sh

# bootstrap/lib/steps.sh

# bootstrap/lib/names.sh

# bootstrap/lib/accounts.sh

# bootstrap/lib/packages.sh

# bootstrap/lib/files.sh

# bootstrap/lib/services.sh

# bootstrap/lib/network.sh

# bootstrap/lib/iscsi.sh

# bootstrap/lib/sessions.sh

# bootstrap/lib/volumes.sh

# bootstrap/lib/system.sh

# bootstrap/lib/security.sh

# bootstrap/lib/guests.sh

# install/common.sh

bf_describe() {
    bf_host=web06.prod.den.example.com bf_init=sysv
    bf_plan=eb748f229b2d0e386d6e999cc8867a7474a0fbb6a4f9a12a5f0cf6902185516c bf_reach='10.2.0.1 http://10.2.0.5'
}

# Every whole file that a step makes: SHA-256, raw mode, owner, path.
bf_whole_files() {
    bf_intact \
        9973579b640ac5fd8a760ca7aceda1325656e0759fb26ee38e09fc1df1b27594 81a4 root:root /etc/hosts \
        a596ac7a4c8a341bc9d46de458e52b3e5a34d6fdecf9b7151d0ece6ed73932d0 81a4 root:root /etc/resolv.conf \
        2f895662144bb8dfb1f7025d6b3e2ed635618f10c7edd52cb0185fea140d5cd8 81a4 root:root /etc/pki/ca-trust/source/anchors/bootforge-ca-215f6f4d.pem \
        085adf924833d0e37f30b9fefe70d8e232bc78d2fc44b7d7eaec37565d739af0 81a4 root:root /etc/pki/rpm-gpg/RPM-GPG-KEY-bootforge-site \
        13e87f2e877694abf96795f7e9959094e167ec18be092293711f50bbe86a9b9e 81a4 root:root /etc/yum.repos.d/bootforge-site.repo \
        b8c02b2f0cd40a41612a3494bef65ece57b50adb53d1a3c6b331e7e37d13254f 8180 root:root /etc/iscsi/initiatorname.iscsi \
        7aa0388770919258a933cb207cb0db4fb9ef7623ad594a92b089b3a176d09241 81a4 root:root /etc/multipath.conf \
        - 45fd root:root /srv/app \
        23968b36324c5474d1494e66dd13c87860321b4aaec995151d6f7a649904e352 81a4 root:root /etc/motd \
        c15a9ab05547b70fb759bd016eefac30c070c01c8d2d3a9060afa05ec92cebc7 8120 root:root /etc/sudoers.d/bootforge-alice \
        32ae802451b9ea58e5e5741f93de308a59ae395aa924b149d2277302a5a53eea 81ed root:root /etc/sysconfig/modules/bootforge.modules \
        9fff99d65a57fc033703d0465ac0ce16df412237a408de167daad28e05d4d241 81a4 root:root /etc/modprobe.d/bootforge.conf \
        96fc4443409b4e20423ec80674fc66ec8f01eb15f99ee3699ddd7015bea23e0c 81a4 root:root /etc/sysctl.d/90-bootforge.conf \
        14c4bb7aa0abd88055f3b49795d08913919a761e06608a52c21ac36e2d2877ee 81a4 root:root /etc/cron.d/bootforge-report \
        3bbb8abce7a457da121a1763280307cbf6afdd1fb02b0d3b817c49a76f26ad41 81a4 root:root /etc/sysconfig/network-scripts/ifcfg-lan \
        3ae5a9eab13ce0136d52e94095bf5a97b3c80de984f23e02b7cbf9043f4e0138 81a4 root:root /etc/sysconfig/network-scripts/ifcfg-eth2 \
        ebeba458e64f0462c25aef8267d396fd8cf3797fc27ebb842df276d4b54ae8e1 81a4 root:root /etc/sysconfig/network-scripts/ifcfg-eth3 \
        ''
}

# bf_command NAME: what a handler 'run:NAME' runs; one that is no longer named is owed by nobody.
bf_command() {
    case $1 in
    app-reload) bf_within 300 /usr/bin/app '--reload it'"'"'s' ;;
    esac
}

bf_steps() {
    if bf_step hostname 'install boot run' '' '' ''; then
        bf_sysconfig_hostname web06.prod.den.example.com
        bf_end $?
    fi
    if bf_step storage-nics 'install boot run' '' '' ''; then
        bf_storage_nics own san0 02:00:00:00:02:06 own san1 02:00:00:00:03:06
        bf_end $?
    fi
    if bf_step mark 'install boot run' '' '' ''; then
        bf_mark bf-e88f1517 system
        bf_end $?
    fi
    if bf_step first-boot install '' '' ''; then
        bf_first_boot
        bf_end $?
    fi
    if bf_step hosts 'install boot run' whole '' ''; then
        bf_file /etc/hosts 644 root:root <<'BF_9973579b640ac5fd'
# Written by Bootforge; changes are lost.
127.0.0.1	localhost localhost.localdomain localhost4 localhost4.localdomain4
::1	localhost localhost.localdomain localhost6 localhost6.localdomain6
10.2.0.6	web06.prod.den.example.com web06
10.2.0.30	db.example.com
BF_9973579b640ac5fd
        bf_end $?
    fi
    if bf_step resolver 'install boot run' whole '' ''; then
        bf_file /etc/resolv.conf 644 root:root <<'BF_a596ac7a4c8a341b'
# Written by Bootforge; changes are lost.
search example.com
nameserver 10.2.0.2
options timeout:2
BF_a596ac7a4c8a341b
        bf_end $?
    fi
    if bf_step trust:bootforge-ca-215f6f4d.pem 'install boot run' whole '' trust:enable; then
        bf_file /etc/pki/ca-trust/source/anchors/bootforge-ca-215f6f4d.pem 644 root:root <<'BF_2f895662144bb8df'
-----BEGIN CERTIFICATE-----
MIIBgDCCASegAwIBAgIUaP+zroHl9X+V17HF8jPUGNa4MkswCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKRXhhbXBsZSBDQTAgFw0yNjExMjcyMDExMDZaGA8yMTI2MTEw
MzIwMTEwNlowFTETMBEGA1UEAwwKRXhhbXBsZSBDQTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABBMUTp5np8xCn/qWAf5RR1gVLHmtIzCfyrwE7BkuGRZjmsYP1287
JF6sZymly1hZrCTQ3U5Aq5qu0eBpqUQZwr6jUzBRMB0GA1UdDgQWBBQZLJZSZOuc
k7a4NKVlJkBaJ/zM7TAfBgNVHSMEGDAWgBQZLJZSZOuck7a4NKVlJkBaJ/zM7TAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIEe18LsOFnkvNadxUoLV
kEkn+iPzgVYRgNamA3zU1IvDAiBRO6J5pQh4GNDYYevN1qa0dNzBTh+Uvg0WWhoi
ziISVA==
-----END CERTIFICATE-----
BF_2f895662144bb8df
        bf_end $?
    fi
    if bf_step trust 'install boot run' '' '' trust:enable; then
        bf_only /etc/pki/ca-trust/source/anchors bootforge-ca-215f6f4d.pem
        bf_end $?
    fi
    if bf_step users:former 'install boot run' '' '' ''; then
        bf_no_users former 5002
        bf_end $?
    fi
    if bf_step groups:dba 'install boot run' '' '' ''; then
        bf_groups dba 5000
        bf_end $?
    fi
    if bf_step users:alice 'install boot run' '' '' ''; then
        bf_users alice 5001 5001 /home/alice /bin/bash 'Alice O'"'"'Hara' also alice_hash '6 5 1' dba wheel
        bf_end $?
    fi
    if bf_step users:root 'install boot run' '' '' ''; then
        bf_password root root_hash '6 5 1'
        bf_end $?
    fi
    if bf_step keys:root 'install boot run' '' '' ''; then
        bf_keys root 0 /root additive <<'BF_150764e4145cd9e7'
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDK8mGnano6PWNSuVWs7npokg9yYdMvtFHJ0+3tH4unx ops@example.com
BF_150764e4145cd9e7
        bf_end $?
    fi
    if bf_step keys:alice 'install boot run' '' users:alice ''; then
        bf_keys alice 5001 /home/alice additive <<'BF_150764e4145cd9e7'
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDK8mGnano6PWNSuVWs7npokg9yYdMvtFHJ0+3tH4unx ops@example.com
BF_150764e4145cd9e7
        bf_end $?
    fi
    if bf_step rpm-keys:site 'install boot run' whole '' ''; then
        bf_file /etc/pki/rpm-gpg/RPM-GPG-KEY-bootforge-site 644 root:root <<'BF_085adf924833d0e3'
-----BEGIN PGP PUBLIC KEY BLOCK-----

mQGNBGsDXQUBDADWpVJlxIedwArS2G/TmS8plN2ed7D95BSor8ofvwTFtMbFnJ15
9/5uJjUrbgcvE2nRwIuS6V7YdCh3XWFy8YsXFxTm9MdbvxRlh9s5B10bCrObkh1M
Sg2dsZDPpoyYsJT8KkFW7Htukym0tj6yt6MeltX1h9MF8oK3+2Y3OO0abAdTLl9T
cQ/v49uf/vbJiW2CFPYHiXhYe1BhZyKaOZmCzzl2iQtMOL9xqVVjwTNzB0tNfF10
h1pVWty8XB35B73rUEQhL38DO7oCo/RmmkU7RnoHIQ9WwzDOY3x+vyzB9aoLcR3B
zUxEx6LddCJIIaWP7vf7JI7Q46nolfxHBTQtDCFC7YonDWoUbyQcU7qcW9vOpwnU
r5bCb5qLASr2nDRj10p1Y/9QUF6TnRAq9NoV6kL+NAWNjtooC50ZGPIcs7NDGy8N
AHptgSsx4PApo1L5IMQkT16XRZf08ZOEjPSIzgx+Yt+dyn0N9PPUkcvIjkP1cP/1
+l+8Vp5UOb6ddXMAEQEAAbQnRXhhbXBsZSBwYWNrYWdlcyA8cGFja2FnZXNAZXhh
bXBsZS5jb20+iQHOBBMBCgA4FiEEnF/ruUhg2XiL2AlWC/+vnEXvlb8FAmsDXQUC
GwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQC/+vnEXvlb8WpAwAvhpa+SSF
4a2P5jWwgs0fEnbU0/eMutnT3dGoWYS+KUcuuQTaDFOOmcGYChAJKo/AyU+rg57T
ebWS/INo3dimGQL/4g517ekBVxAU9GH3kU6fC3FQqGemx8re3GajusWvApvD/zzd
qNaF1ABGxuJZql3Z/eucU/paqYP3Q26Vx5A5wMI3/AbIqzWGDcxmKG9VKtCRI5i0
tO1ogo3hRG65GgsZCc1ENNRK6kc/EwCHi0LdvI2kLSBa8TLf5R5wRTwZT2eM1ATV
4T9jnOvqLsUqg/3rR3be2wiFqjP8xgZbBqqHUlVsJ+rHv9xkjL9Y/BqYcdGU3COP
bs8JcwDyiMuw2UnAH+6O52h/UKpUF9tCCEHXuQIcjeidGI/qVjDMtS754e36OpE4
G6TaV3w5PwzX7/aYrltaNyMCrt8zGaYiDn71YC/PUgfHbHb6Rc4oXUJWRDLjdIxT
GyAFGP+0P1EW2OBmT5B2Dzb1dxclgXLS3aftDwdpMOiEz12pjRedUU6c
=UYy0
-----END PGP PUBLIC KEY BLOCK-----
BF_085adf924833d0e3
        bf_end $?
    fi
    if bf_step rpm-keys 'install boot run' '' rpm-keys:site ''; then
        bf_rpm_keys /etc/pki/rpm-gpg/RPM-GPG-KEY-bootforge-site 9c5febb94860d9788bd809560bffaf9c45ef95bf
        bf_end $?
    fi
    if bf_step repos:site 'install boot run' whole '' ''; then
        bf_file /etc/yum.repos.d/bootforge-site.repo 644 root:root <<'BF_13e87f2e877694ab'
# Written by Bootforge; changes are lost.
[bootforge-site]
name=site
baseurl=http://packages.example.com/prod/6/x86_64
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-bootforge-site
exclude=kernel*
cost=500
BF_13e87f2e877694ab
        bf_end $?
    fi
    if bf_step repos-purge 'install boot run' '' repos ''; then
        bf_repos_purge /etc/yum.repos.d/bootforge-site.repo
        bf_end $?
    fi
    if bf_step packages 'install boot run' '' 'rpm-keys repos modules' ''; then
        bf_packages yum 3426fb642f6e8178 'device-mapper-multipath httpd iscsi-initiator-utils lvm2' openssl telnet
        bf_end $?
    fi
    if bf_step iscsi-initiator 'install boot run' whole 'storage-nics storage-devices packages' restart:iscsid; then
        bf_file /etc/iscsi/initiatorname.iscsi 600 root:root <<'BF_b8c02b2f0cd40a41'
InitiatorName=iqn.2008-05.com.example:web06
BF_b8c02b2f0cd40a41
        bf_end $?
    fi
    if bf_step iscsi-conf 'install boot run' '' 'storage-nics storage-devices packages' ''; then
        bf_edits /etc/iscsi/iscsid.conf <<'BF_97cb90234776255f'
set
node.startup
=
node.startup = manual
set
node.session.timeo.replacement_timeout
=
node.session.timeo.replacement_timeout = 15
set
node.conn[0].timeo.login_timeout
=
node.conn[0].timeo.login_timeout = 15
set
node.conn[0].timeo.noop_out_interval
=
node.conn[0].timeo.noop_out_interval = 5
set
node.conn[0].timeo.noop_out_timeout
=
node.conn[0].timeo.noop_out_timeout = 10
set
node.session.initial_login_retry_max
=
node.session.initial_login_retry_max = 3
set
node.session.iscsi.FastAbort
=
node.session.iscsi.FastAbort = No
block
# BEGIN Bootforge: iSCSI
# END Bootforge: iSCSI
0
BF_97cb90234776255f
        bf_end $?
    fi
    if bf_step iscsi-ifaces 'install boot run' '' 'storage-nics storage-devices packages' ''; then
        bf_iscsi_ifaces san0 iface.hwaddress 02:00:00:00:02:06 san1 iface.hwaddress 02:00:00:00:03:06
        bf_end $?
    fi
    if bf_step iscsi-secrets install '' 'storage-nics storage-devices packages' ''; then
        bf_keep_secrets chap_host chap_array
        bf_end $?
    fi
    if bf_step multipath 'install boot run' whole 'storage-nics storage-devices packages' reconfigure:multipathd; then
        bf_file /etc/multipath.conf 644 root:root <<'BF_7aa0388770919258'
# Written by Bootforge; changes are lost.
defaults {
    user_friendly_names no
}
blacklist {
    devnode "^(ram|raw|loop|fd|md|dm-|sr|scd|st|hd|xvd|vd|nvme|cciss)"
    device {
        vendor ".*"
        product ".*"
    }
}
blacklist_exceptions {
    device {
        vendor "EQLOGIC"
        product "100E-00"
    }
}
devices {
    device {
        vendor "EQLOGIC"
        product "100E-00"
        getuid_callout "/lib/udev/scsi_id --whitelisted --device=/dev/%n"
        path_grouping_policy multibus
        path_selector "round-robin 0"
        path_checker tur
        prio const
        rr_min_io 10
        failback immediate
        no_path_retry 30
    }
}
multipaths {
    multipath {
        wwid 36090a01820494c580000000000000006
        alias data
    }
}
BF_7aa0388770919258
        bf_end $?
    fi
    if bf_step lvm-scope 'install boot run' '' 'storage-nics storage-devices packages' ''; then
        bf_lvm_scope filter '[ "a|^/dev/mapper/data$|", "r|^/dev/disk/by-path/.*-iscsi-|", "r|^/dev/vg_data/|", "r|^/dev/mapper/vg_data-[^-]|" ]'
        bf_end $?
    fi
    if bf_step san-boot 'install boot run' '' 'storage-nics storage-devices packages' ''; then
        bf_san_boot 'san0 san1' vg_data /dev/mapper/data /srv/data
        bf_end $?
    fi
    if bf_step fstab 'install boot run' '' 'storage-nics storage-devices packages' ''; then
        bf_fstab <<'BF_328b520163e42cac'
absent
^[ 	]*[^# 	][^ 	]*[ 	]+/srv/data[ 	]

block
# BEGIN Bootforge: volumes
# END Bootforge: volumes
1
/dev/mapper/vg_data-app /srv/data ext4 _netdev 0 0
BF_328b520163e42cac
        bf_end $?
    fi
    if bf_step san-services 'install boot run' '' 'storage-nics packages multipath' ''; then
        bf_services iscsid enabled iscsi enabled netfs enabled multipathd on
        bf_end $?
    fi
    if bf_step san-sysctl-live 'boot run' '' storage-nics ''; then
        bf_sysctl_live net/ipv4/conf/eth2/arp_announce 2 net/ipv4/conf/eth2/arp_ignore 1 net/ipv4/conf/eth2/rp_filter 2 net/ipv4/conf/eth3/arp_announce 2 net/ipv4/conf/eth3/arp_ignore 1 net/ipv4/conf/eth3/rp_filter 2
        bf_end $?
    fi
    if bf_step iscsi-login 'boot run' '' 'storage-nics storage-devices packages iscsi-initiator iscsi-conf iscsi-ifaces multipath lvm-scope san-services' ''; then
        bf_iscsi_login web06 chap_host eql chap_array <<'BF_67a0839931bf249a'
set node.startup manual
set node.session.timeo.replacement_timeout 15
set node.conn[0].timeo.login_timeout 15
set node.conn[0].timeo.noop_out_interval 5
set node.conn[0].timeo.noop_out_timeout 10
set node.session.initial_login_retry_max 3
set node.session.iscsi.FastAbort No
volume /dev/mapper/data
path eql-den san0 mac 02:00:00:00:02:06 9000 10.9.0.200:3260 -
path eql-den san1 mac 02:00:00:00:03:06 9000 10.9.0.200:3260 -
BF_67a0839931bf249a
        bf_end $?
    fi
    if bf_step volumes:data 'boot run' '' 'storage-nics storage-devices packages iscsi-initiator iscsi-conf iscsi-ifaces multipath lvm-scope san-services fstab' ''; then
        bf_volume data /dev/mapper/data 36090a01820494c580000000000000006 102400 vg_data app /dev/mapper/vg_data-app ext4 /srv/data ''
        bf_end $?
    fi
    if bf_step paths 'boot run' '' 'storage-nics multipath san-services' ''; then
        bf_paths data 2
        bf_end $?
    fi
    if bf_step directories:/srv/app 'install boot run' whole '' ''; then
        bf_directory /srv/app 2775 root:root
        bf_end $?
    fi
    if bf_step files:/etc/app.key 'install boot run' '' '' run:app-reload; then
        bf_secret_file /etc/app.key 600 root:root app_key
        bf_end $?
    fi
    if bf_step files:/etc/motd 'install boot run' whole '' ''; then
        bf_file /etc/motd 644 root:root <<'BF_23968b36324c5474'
This is a web server of den.
BF_23968b36324c5474
        bf_end $?
    fi
    if bf_step links:/srv/current 'install boot run' '' '' ''; then
        bf_link /srv/current app
        bf_end $?
    fi
    if bf_step absent:/etc/cron.d/old 'install boot run' '' '' ''; then
        bf_absent /etc/cron.d/old
        bf_end $?
    fi
    if bf_step edits:/etc/ssh/sshd_config 'install boot run' '' packages reload:sshd; then
        bf_edits /etc/ssh/sshd_config <<'BF_d8baf4abcb34eebf'
set
UseDNS

UseDNS no
block
# BEGIN Bootforge
# END Bootforge
0
BF_d8baf4abcb34eebf
        bf_end $?
    fi
    if bf_step sudo:alice 'install boot run' whole '' ''; then
        bf_sudo /etc/sudoers.d/bootforge-alice <<'BF_c15a9ab05547b70f'
# Written by Bootforge; changes are lost.
alice ALL=(ALL) NOPASSWD: ALL
BF_c15a9ab05547b70f
        bf_end $?
    fi
    if bf_step sudo 'install boot run' '' '' ''; then
        bf_only /etc/sudoers.d bootforge-alice
        bf_end $?
    fi
    if bf_step kernel-modules 'install boot run' whole '' ''; then
        bf_file /etc/sysconfig/modules/bootforge.modules 755 root:root <<'BF_32ae802451b9ea58'
#!/bin/sh
# Written by Bootforge; changes are lost.
/sbin/modprobe loop
BF_32ae802451b9ea58
        bf_end $?
    fi
    if bf_step kernel-modules:modprobe 'install boot run' whole '' initramfs; then
        bf_file /etc/modprobe.d/bootforge.conf 644 root:root <<'BF_9fff99d65a57fc03'
# Written by Bootforge; changes are lost.
blacklist pcspkr
install pcspkr /bin/false
BF_9fff99d65a57fc03
        bf_end $?
    fi
    if bf_step kernel-modules-live 'boot run' '' 'kernel-modules kernel-modules:modprobe' ''; then
        bf_modules_live load loop blacklist pcspkr
        bf_end $?
    fi
    if bf_step sysctl 'install boot run' whole '' ''; then
        bf_file /etc/sysctl.d/90-bootforge.conf 644 root:root <<'BF_96fc4443409b4e20'
# Written by Bootforge; changes are lost.
net.ipv4.ip_forward = 1
net/ipv4/conf/eth2/arp_announce = 2
net/ipv4/conf/eth2/arp_ignore = 1
net/ipv4/conf/eth2/rp_filter = 2
net/ipv4/conf/eth3/arp_announce = 2
net/ipv4/conf/eth3/arp_ignore = 1
net/ipv4/conf/eth3/rp_filter = 2
vm.swappiness = 1
BF_96fc4443409b4e20
        bf_end $?
    fi
    if bf_step sysctl-live 'boot run' '' '' ''; then
        bf_sysctl_live net/ipv4/ip_forward 1 net/ipv4/conf/eth2/arp_announce 2 net/ipv4/conf/eth2/arp_ignore 1 net/ipv4/conf/eth2/rp_filter 2 net/ipv4/conf/eth3/arp_announce 2 net/ipv4/conf/eth3/arp_ignore 1 net/ipv4/conf/eth3/rp_filter 2 vm/swappiness 1
        bf_end $?
    fi
    if bf_step kernel-args 'boot run' '' '' ''; then
        bf_kernel_args elevator=none
        bf_end $?
    fi
    if bf_step timezone 'install boot run' '' '' ''; then
        bf_zone_copy America/Denver
        bf_end $?
    fi
    if bf_step language 'install boot run' '' '' ''; then
        bf_assign /etc/sysconfig/i18n LANG en_US.UTF-8 '"'
        bf_end $?
    fi
    if bf_step keyboard 'install boot run' '' '' ''; then
        bf_assign /etc/sysconfig/keyboard KEYTABLE us '"'
        bf_end $?
    fi
    if bf_step ntp 'install boot run' '' '' restart:ntpd; then
        bf_time_servers /etc/ntp.conf 10.2.0.5 10.2.0.6
        bf_end $?
    fi
    if bf_step cron:report 'install boot run' whole '' ''; then
        bf_file /etc/cron.d/bootforge-report 644 root:root <<'BF_14c4bb7aa0abd880'
# Written by Bootforge; changes are lost.
30 4 * * * alice /usr/bin/report \%d
BF_14c4bb7aa0abd880
        bf_end $?
    fi
    if bf_step cron 'install boot run' '' '' ''; then
        bf_cron_files report
        bf_end $?
    fi
    if bf_step selinux 'install boot run' '' '' ''; then
        bf_selinux enforcing
        bf_end $?
    fi
    if bf_step selinux-contexts 'boot run' '' '' relabel; then
        bf_contexts ''
        bf_end $?
    fi
    if bf_step firewall 'install boot run' '' '' restart:iptables; then
        bf_iptables on INPUT 22/tcp
        bf_end $?
    fi
    if bf_step network:lan 'install boot run' whole '' network; then
        bf_file /etc/sysconfig/network-scripts/ifcfg-lan 644 root:root <<'BF_3bbb8abce7a457da'
# Written by Bootforge; changes are lost.
NM_CONTROLLED=no
TYPE=Ethernet
HWADDR=02:00:00:00:00:06
ONBOOT=yes
BOOTPROTO=none
IPADDR=10.2.0.6
NETMASK=255.255.240.0
GATEWAY=10.2.0.1
DEFROUTE=yes
IPV6INIT=no
DNS1=10.2.0.2
BF_3bbb8abce7a457da
        bf_end $?
    fi
    if bf_step network:san0 'install boot run' whole storage-nics network; then
        bf_file /etc/sysconfig/network-scripts/ifcfg-eth2 644 root:root <<'BF_3ae5a9eab13ce013'
# Written by Bootforge; changes are lost.
DEVICE=eth2
NM_CONTROLLED=no
TYPE=Ethernet
HWADDR=02:00:00:00:02:06
ONBOOT=yes
MTU=9000
BOOTPROTO=none
IPADDR=10.9.0.6
NETMASK=255.255.252.0
DEFROUTE=no
IPV6INIT=no
BF_3ae5a9eab13ce013
        bf_end $?
    fi
    if bf_step network:san1 'install boot run' whole storage-nics network; then
        bf_file /etc/sysconfig/network-scripts/ifcfg-eth3 644 root:root <<'BF_ebeba458e64f0462'
# Written by Bootforge; changes are lost.
DEVICE=eth3
NM_CONTROLLED=no
TYPE=Ethernet
HWADDR=02:00:00:00:03:06
ONBOOT=yes
MTU=9000
BOOTPROTO=none
IPADDR=10.9.1.6
NETMASK=255.255.252.0
DEFROUTE=no
IPV6INIT=no
BF_ebeba458e64f0462
        bf_end $?
    fi
    if bf_step network-others 'install boot run' '' '' network; then
        bf_network_others ifcfg-lan ifcfg-eth2 ifcfg-eth3 -- 02:00:00:00:00:06 eth2 02:00:00:00:02:06 eth3 02:00:00:00:03:06
        bf_end $?
    fi
    if bf_step services 'install boot run' '' packages ''; then
        bf_services httpd on kdump off
        bf_end $?
    fi
    if bf_step processes 'boot run' '' services ''; then
        bf_processes telnetd
        bf_end $?
    fi
    if bf_step hooks:tuned 'boot run' '' '' ''; then
        bf_hook tuned <<'BF_4450de14d3821f07'
case $1 in
check) [ -e /etc/tuned-by-us ] ;;
apply) : >/etc/tuned-by-us ;;
esac
BF_4450de14d3821f07
        bf_end $?
    fi
    if bf_step stamp 'install boot run' '' '' ''; then
        bf_stamp web06.prod.den.example.com eb748f229b2d0e386d6e999cc8867a7474a0fbb6a4f9a12a5f0cf6902185516c cc106bd777d1879983678f376cb446b8f4cc47ac27e8f5c8c8bff80717e52944
        bf_end $?
    fi
}

# The last line runs everything: a file that was cut off in transit runs nothing.
bf_main "$@" </dev/null
