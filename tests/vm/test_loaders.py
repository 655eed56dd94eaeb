"""Boot programs beside iPXE by TFTP: shim and GRUB with Secure Boot on, UEFI HTTP boot, lpxelinux; each to the
kickstart when the host is armed, and to the disk when it is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import need
from tests.vm import lab as vm
from tests.vm import media, signed
from tests.vm.media import MARKER
from tests.vm.product import ROOT_HASH, Bootforge, kickstart_digest
from tests.vm.signed import Key

pytestmark = pytest.mark.vm

SITE = Path(__file__).parent / "site-boot"
SHIM, SHIM_MAC = "web01.prod.lab.example.com", "52:54:00:00:00:01"
PXELINUX, PXELINUX_MAC = "web02.prod.lab.example.com", "52:54:00:00:00:02"
IPXE, IPXE_MAC = "web03.prod.lab.example.com", "52:54:00:00:00:03"


@pytest.fixture
def key(lab: vm.Lab) -> Key:
    need("openssl", "sbsign", "grub-mkimage")
    (lab.directory / "signing").mkdir()
    return Key(lab.directory / "signing")


Served = Callable[..., Bootforge]


@pytest.fixture
def served(lab: vm.Lab, key: Key, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The product with an install tree of its own, and a DHCP server with what is printed for it. ``http``: the tree
    has a GRUB that can fetch by HTTP, as EL's, else Debian's, which cannot."""

    def serve(http: bool = False, dhcp: str = "dnsmasq") -> Bootforge:
        monkeypatch.setenv("BOOTFORGE_SITE", str(SITE))
        monkeypatch.setenv("BOOTFORGE_STORE", f"sqlite:///{lab.directory}/store.db")
        monkeypatch.setenv("BOOTFORGE_ROOT_HASH", ROOT_HASH)
        packages = signed.packages()
        monkeypatch.setenv("BOOTFORGE_LOADERS", str(_loaders(lab.directory / "given", packages)))
        tree = media.install_tree(lab.directory / "media/lab-9")
        (tree / "images/pxeboot/vmlinuz").unlink()
        shutil.copy(media.kernel() / "vmlinuz", tree / "images/pxeboot/vmlinuz")
        (tree / "EFI/BOOT").mkdir(parents=True)
        shutil.copy(packages / signed.SHIM, tree / "EFI/BOOT/BOOTX64.EFI")
        if http:
            signed.grub_with_http(tree / "EFI/BOOT/grubx64.efi", key)
        else:
            shutil.copy(packages / signed.GRUB, tree / "EFI/BOOT/grubx64.efi")
        product = Bootforge(lab)
        {"dnsmasq": lab.dnsmasq, "kea": lab.kea}[dhcp](product("dhcp", dhcp))
        return product

    return serve


def _loaders(directory: Path, packages: Path) -> Path:
    """What is installed where pxelinux and syslinux-common are."""
    directory.mkdir()
    shutil.copy(packages / "usr/lib/PXELINUX/lpxelinux.0", directory)
    shutil.copy(packages / "usr/lib/syslinux/modules/bios/ldlinux.c32", directory)
    shutil.copy("/usr/lib/ipxe/snponly.efi", directory)
    return directory


def installs(machine: vm.Process, host: str, seconds: float) -> None:
    digest = machine.wait_for(r"^BF: ks sha256 (\w+)", seconds * vm.PATIENCE)[1]
    assert digest == kickstart_digest(host, SITE)


@pytest.mark.slow
def test_secure_boot_by_tftp_installs_an_armed_host(served: Served, key: Key) -> None:
    product = served()
    product("arm", SHIM)
    wire = product.lab.sniffer()
    machine = product.lab.power_on("web01", SHIM_MAC, "uefi", key=key)

    installs(machine, SHIM, 60)
    assert "Lockdown: " in machine.text, "the kernel does not know that Secure Boot is on"
    asked = [line.split()[1] for line in wire.text.splitlines() if line.startswith("RRQ")]
    assert f"/m/{SHIM_MAC}/grub.cfg" in asked and f"/m/{SHIM_MAC.replace(':', '-')}/kernel" in asked, asked


@pytest.mark.slow
def test_secure_boot_by_tftp_leaves_an_unarmed_host_to_its_signed_disk(served: Served, key: Key) -> None:
    product = served()
    machine = product.lab.power_on("web01", SHIM_MAC, "uefi", key=key)

    machine.wait_for("web01.prod.lab.example.com is not armed", 40 * vm.PATIENCE)
    machine.wait_for(MARKER, 10 * vm.PATIENCE)


def test_secure_boot_is_on_in_these_tests(served: Served, key: Key) -> None:
    """What nobody signed is refused: iPXE by the firmware, and the disk's loader by it and by GRUB."""
    product = served()
    machine = product.lab.power_on("web03", IPXE_MAC, "uefi", key=key, disk_signed=False)

    machine.wait_for('failed to load Boot0000 "network".*: Access Denied', 40 * vm.PATIENCE)
    machine.wait_for('failed to load Boot0001 "disk".*: Access Denied', 10 * vm.PATIENCE)
    assert MARKER not in machine.text and "iPXE" not in machine.text


@pytest.mark.slow
def test_secure_boot_by_http_installs_an_armed_host(served: Served, key: Key) -> None:
    product = served(http=True)
    product("arm", SHIM)
    wire = product.lab.sniffer()
    machine = product.lab.power_on("web01", SHIM_MAC, "uefi", key=key, http=True)

    machine.wait_for("Start HTTP Boot over IPv4", 20 * vm.PATIENCE)
    installs(machine, SHIM, 60)
    assert "RRQ" not in wire.text


@pytest.mark.parametrize("dhcp", ["dnsmasq", pytest.param("kea", marks=pytest.mark.slow)])
def test_http_boot_starts_ipxe_and_installs(served: Served, dhcp: str) -> None:
    need("kea-dhcp4")
    product = served(dhcp=dhcp)
    product("arm", IPXE)
    wire = product.lab.sniffer()
    machine = product.lab.power_on("web03", IPXE_MAC, "uefi", http=True)

    machine.wait_for("URI: http://10.77.0.1/loaders/snponly.efi", 20 * vm.PATIENCE)
    machine.wait_for("File Size: [0-9]+ Bytes", 5 * vm.PATIENCE)
    installs(machine, IPXE, 40)
    assert "snponly.efi" not in wire.text, "the loader came by HTTP"


def test_lpxelinux_installs_an_armed_host(served: Served) -> None:
    product = served()
    product("arm", PXELINUX)
    machine = product.lab.power_on("web02", PXELINUX_MAC)

    installs(machine, PXELINUX, 30)


@pytest.mark.slow
def test_lpxelinux_leaves_an_unarmed_host_to_its_disk(served: Served) -> None:
    product = served()
    machine = product.lab.power_on("web02", PXELINUX_MAC)

    machine.wait_for("web02.prod.lab.example.com is not armed", 25 * vm.PATIENCE)
    machine.wait_for(MARKER, 10 * vm.PATIENCE)
