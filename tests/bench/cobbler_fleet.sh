#!/bin/sh
# Cobbler from a virtual environment, measured: cobbler_fleet.sh PYTHON SYSTEMS. Needs root and rsync. Cobbler insists on files below
# /etc, /srv, /usr/share and /var, so it gets them in a mount namespace of its own, on top of the machine's; nothing stays.
set -eu
python=$1 systems=$2 here=$(cd "$(dirname "$0")" && pwd)
case $python in */*) ;; *) python=$(command -v "$python") ;; esac
scratch=$(mktemp -d)
trap 'rmdir "$scratch"' EXIT
# shellcheck disable=SC2016  # the inner shell expands them
unshare --mount sh -eu -c '
    scratch=$1 python=$2 script=$3 systems=$4
    mount -t tmpfs tmpfs "$scratch"
    for top in etc srv usr var; do
        mkdir "$scratch/$top" "$scratch/$top.work"
        mount -t overlay overlay -o "lowerdir=/$top,upperdir=$scratch/$top,workdir=$scratch/$top.work" "/$top"
    done
    site=$("$python" -c "import sysconfig; print(sysconfig.get_path(\"purelib\"))")
    mkdir -p /usr/share
    cp -a "$site/etc/cobbler" /etc/
    cp -a "$site/usr/share/cobbler" /usr/share/
    cp -a "$site/var/." /var/
    for kind in distros files images menus mgmtclasses packages profiles repos systems; do
        mkdir -p "/var/lib/cobbler/collections/$kind" "/var/www/cobbler/$kind"
    done
    mkdir -p /var/log/cobbler/tasks /srv/tftpboot/pxelinux.cfg /srv/tftpboot/grub /srv/tftpboot/boot /srv/tftpboot/images /var/www/cobbler/links /var/www/cobbler/pub \
        /var/www/cobbler/rendered /var/www/cobbler/repo_mirror /var/www/cobbler/distro_mirror /var/lib/cobbler/loaders \
        /var/lib/cobbler/grub_config/grub /var/lib/cobbler/triggers /var/lib/cobbler/backup
    for bin in pxelinux.0 menu.c32; do : >"/var/lib/cobbler/loaders/$bin"; done
    "$python" "$script" "$systems"
' sh "$scratch" "$python" "$here/cobbler_fleet.py" "$systems"
