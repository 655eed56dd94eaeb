#!/bin/sh
# What `make serve` runs: the example site on loopback, one host armed. It needs no root and keeps everything it
# writes in .cache/serve.
set -eu
cd "$(dirname "$0")/.."
bootforge=.venv/bin/bootforge
host=web01.prod.den.example.com
state=$PWD/.cache/serve
mkdir -p "$state"

BOOTFORGE_SITE=vagrant/site
BOOTFORGE_STORE=sqlite:///$state/store.db
# A password that nobody knows: log in to what this installs with a key in vagrant/site/keys.
BOOTFORGE_ROOT_HASH=$(head -c 30 /dev/urandom | base64 | openssl passwd -6 -stdin)
export BOOTFORGE_SITE BOOTFORGE_STORE BOOTFORGE_ROOT_HASH

: >"$state/urls"
$bootforge serve --bind 127.0.0.1 --http-port "$HTTP_PORT" --tftp-port "$TFTP_PORT" >"$state/urls" 2>"$state/log" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" || true' EXIT
trap 'exit 0' INT TERM
until [ "$(wc -l <"$state/urls")" -ge 2 ]; do
    kill -0 "$server" 2>/dev/null || { cat "$state/log" >&2; exit 1; }
    sleep 0.1
done
url=$(head -n 1 "$state/urls")
path=$($bootforge arm "$host" --ttl 8h --why 'make serve' --json | sed -n 's/^ *"path": "\(.*\)",\{0,1\}$/\1/p')

cat <<EOF
Bootforge serves vagrant/site. One host is armed: $host

  its kickstart      curl ${url%/}$path
  its boot script    curl ${url%/}/m/00:14:4f:12:34:50/boot.ipxe
  boot programs      curl tftp://$(sed -n '2s,^tftp://,,p' "$state/urls")undionly.kpxe | wc -c

The first client that fetches the kickstart keeps it; any other gets a 404. In another terminal:

  export BOOTFORGE_SITE=$PWD/vagrant/site BOOTFORGE_STORE=$BOOTFORGE_STORE PATH=$PWD/.venv/bin:\$PATH
  bootforge events                     what happened, and why something was refused
  bootforge hosts                      the hosts of the example
  bootforge explain $host
  bootforge arm web02.prod.den.example.com

Edit vagrant/site while this runs: a good site is served within seconds, a broken one never is ($state/log).
Ctrl-C ends it.
EOF
wait "$server"
