#!/bin/sh
# Makes a Debian 12 the server of the lab, as root: Bootforge from the checkout in /srv/bootforge, serving its example site
# with DHCP by dnsmasq, and what the machines of Denver expect of their network: a router (10.2.0.1), a name server
# (10.2.0.2) and packages.example.com. To be run again after a change of the checkout.
set -eu
here=/srv/bootforge
export DEBIAN_FRONTEND=noninteractive

apt-get -q update
apt-get -q install -y --no-install-recommends python3-venv dnsmasq-base ipxe nftables openssl iproute2 createrepo-c

[ -x /opt/bootforge/bin/pip ] || python3 -m venv /opt/bootforge
/opt/bootforge/bin/pip install -q --disable-pip-version-check "$here"

# The password of root on what is installed; it stays here.
umask 077
mkdir -p /etc/bootforge
[ -s /etc/bootforge/root-password ] || openssl rand -base64 18 >/etc/bootforge/root-password
cat >/etc/bootforge/environment <<EOF
BOOTFORGE_SITE=$here/vagrant/site
BOOTFORGE_STORE=sqlite:////var/lib/bootforge/store.db
BOOTFORGE_ROOT_HASH='$(openssl passwd -6 -stdin </etc/bootforge/root-password)'
EOF
mkdir -p /var/lib/bootforge
umask 022

cat >/usr/local/bin/bootforge <<'EOF'
#!/bin/sh
# Bootforge with the lab's site and store.
set -a
. /etc/bootforge/environment
exec /opt/bootforge/bin/bootforge "$@"
EOF
chmod 755 /usr/local/bin/bootforge

# An empty repository for each release that takes packages from packages.example.com.
for release in 7 8 9 10; do
    tree=/srv/packages/stable/$release/x86_64
    mkdir -p "$tree"
    [ -f "$tree/repodata/repomd.xml" ] || createrepo_c -q "$tree"
done

cat >/usr/local/sbin/lab-network <<'EOF'
#!/bin/sh
# The router and the name server are addresses of this machine; what leaves the lab has its address.
set -eu
lab=$(ip -o -4 address show to 10.2.0.5 | awk '{ print $2; exit }')
[ -n "$lab" ] || { echo "no interface has 10.2.0.5" >&2; exit 1; }
for address in 10.2.0.1 10.2.0.2; do ip address replace "$address/20" dev "$lab"; done
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<NFT
table ip lab
delete table ip lab
table ip lab {
    chain out {
        type nat hook postrouting priority srcnat
        ip saddr 10.2.0.0/20 oifname != "$lab" masquerade
    }
}
NFT
EOF
chmod 755 /usr/local/sbin/lab-network

cat >/etc/systemd/system/lab-network.service <<'EOF'
[Unit]
Description=Router of the lab
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-network

[Install]
WantedBy=multi-user.target
EOF

cat >/etc/systemd/system/lab-names.service <<'EOF'
[Unit]
Description=Name server of the lab
After=lab-network.service
Requires=lab-network.service

[Service]
ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --bind-interfaces --listen-address=10.2.0.2 \
    --pid-file= --local=/packages.example.com/ --host-record=packages.example.com,10.2.0.2
Restart=on-failure

[Install]
WantedBy=multi-user.target
EOF

cat >/etc/systemd/system/lab-packages.service <<'EOF'
[Unit]
Description=packages.example.com of the lab
After=lab-network.service
Requires=lab-network.service

[Service]
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
ExecStart=/usr/bin/python3 -m http.server 80 --bind 10.2.0.2 --directory /srv/packages
Restart=on-failure

[Install]
WantedBy=multi-user.target
EOF

cat >/etc/systemd/system/bootforge.service <<'EOF'
[Unit]
Description=Bootforge
After=lab-network.service
Requires=lab-network.service

[Service]
EnvironmentFile=/etc/bootforge/environment
ExecStart=/opt/bootforge/bin/bootforge serve --bind 10.2.0.5 --dnsmasq full
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
EOF

systemctl daemon-reload
systemctl enable -q lab-network lab-names lab-packages bootforge
systemctl restart lab-network lab-names lab-packages bootforge
echo "Bootforge serves $here/vagrant/site; 'sudo bootforge events --follow' tells what machines ask"
