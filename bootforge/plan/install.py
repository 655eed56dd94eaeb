"""What the installer is told, as kickstart commands. The template prints them; it decides nothing."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from bootforge.errors import did_you_mean
from bootforge.model import InstallPlan, KsCommand, KsOption, Nic, Package, Path, Slot
from bootforge.plan.faults import Fault
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

_KEY = re.compile(r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,3}(?: .*)?")


def plan_install(site: Site, host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> InstallPlan:
    """The whole kickstart but its %post."""
    spec = host.spec
    return InstallPlan(
        title=f"profile {spec.profile}, layout {spec.layout}, roles {', '.join(spec.roles) or 'none'}",
        source=(_command("url", url=spec.install.url or ""),),
        locale=_locale(host),
        network=tuple(_network(host, nic) for nic in nics),
        access=(*_root(site, host, faults), *_keys(site, host, faults)),
        storage=_storage(host, faults),
        packages=_packages(host, faults),
    )


def _command(name: str, /, *words: str, **options: object) -> KsCommand:
    """``_command('part', '/boot', size=1024, grow=True)``: True is a flag, None and False leave an option out."""
    listed = [KsOption("", word) for word in words]
    for key, value in options.items():
        flag = "--" + key.replace("_", "-")
        if value is True:
            listed.append(KsOption(flag))
        elif value is not None and value is not False:
            listed.append(KsOption(flag, value))  # type: ignore[arg-type]
    return KsCommand(name, tuple(listed))


def _locale(host: ResolvedHost) -> tuple[KsCommand, ...]:
    spec = host.spec
    return (
        _command("lang", spec.language),
        _command("keyboard", spec.keyboard),
        _command("timezone", spec.timezone, utc=True),
        *(_command("timesource", ntp_server=server) for server in spec.ntp),
    )


def _network(host: ResolvedHost, nic: Nic) -> KsCommand:
    """A nic by its MAC address, so that no kernel's naming matters. The first line is the one that dracut
    activates (anaconda, rhel-9: dracut/parse-kickstart); only the booting nic has the default route."""
    network, address = nic.network, nic.address
    return _command(
        "network",
        device=nic.mac,
        bootproto="static" if address else "dhcp",
        ip=str(address.ip) if address else None,
        netmask=str(address.netmask) if address else None,
        gateway=str(network.gateway) if address and nic.boot and network.gateway else None,
        nameserver=",".join(map(str, network.dns)) if address and network.dns else None,
        nodefroute=not nic.boot,
        onboot="yes",
        activate=True,
        noipv6=True,
        hostname=host.name if nic.boot else None,
    )


def _root(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[KsCommand, ...]:
    name = host.spec.root_password
    if name is None:
        return (_command("rootpw", lock=True),)
    if name not in site.secrets:
        hint = did_you_mean(name, site.secrets) or "declare it under 'secrets:' in site.yaml"
        faults.append(Fault(("root_password",), "BF044", f"no secret '{name}'", hint))
    return (KsCommand("rootpw", (KsOption("--iscrypted"), KsOption("", Slot(f"secret:{name}", "crypt")))),)


def _keys(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[KsCommand, ...]:
    commands = []
    for user, files in host.spec.authorized_keys.items():
        if user != "root":
            faults.append(Fault(("authorized_keys", user), "BF045", f"no user '{user}'", "root is the only user"))
        for file in files:
            path = ("authorized_keys", user, file)
            for key in _read_keys(site, file, path, faults):
                commands.append(_command("sshkey", key, username=user))
    return tuple(commands)


def _read_keys(site: Site, file: str, path: tuple[str, ...], faults: list[Fault]) -> list[str]:
    if file not in site.files:
        hint = did_you_mean(file, [name for name in site.files if not name.endswith(".yaml")]) or "copy it there"
        faults.append(Fault(path, "BF045", f"no file '{file}' in the site", hint))
        return []
    lines = [line.strip() for line in site.files[file].decode("utf-8", "replace").splitlines()]
    keys = {number: line for number, line in enumerate(lines, 1) if line and not line.startswith("#")}
    bad = [number for number, line in keys.items() if not _KEY.fullmatch(line) or not line.isprintable()]
    if any("PRIVATE KEY" in line for line in lines):
        faults.append(Fault(path, "BF045", f"{file} is a private key", "commit the .pub file, and replace this key"))
    elif bad or not keys:
        what = f"line {bad[0]} of {file} is no public key" if bad else f"{file} has no public key"
        faults.append(Fault(path, "BF045", what, "ssh-keygen writes one into its .pub file"))
    else:
        return [*keys.values()]
    return []


def _storage(host: ResolvedHost, faults: list[Fault]) -> tuple[KsCommand, ...]:
    """The named disks alone are used and wiped. ``reqpart`` makes what the firmware needs, so that one
    kickstart serves BIOS and UEFI; /boot is a partition; the rest is one volume group."""
    spec = host.spec
    disks = [disk.path.removeprefix("/dev/") for _, disk in sorted(spec.disks.items())]
    group, pvs = spec.volume_group, [f"pv.{name}" for name in sorted(spec.disks)]
    if not disks:
        hint = "choose a layout that has one, or write 'disks: {system: {path: /dev/sda}}'"
        faults.append(Fault(("disks",), "BF046", "no disk to install to", hint))
        return ()
    for names in _equal({name: disk.path for name, disk in spec.disks.items()}):
        what = f"disks {' and '.join(names)} are both {spec.disks[names[0]].path}"
        at = _written(host, [("disks", name, "path") for name in names])
        faults.append(Fault(at, "BF046", what, "remove one of them"))
    _check_mounts(host, faults)
    return (
        _command("ignoredisk", only_use=",".join(disks)),
        _command("zerombr"),
        _command("clearpart", all=True, initlabel=True, drives=",".join(disks)),
        _command("bootloader", boot_drive=disks[0], append=" ".join(spec.kernel_args) or None),
        _command("reqpart", add_boot=True),
        *(_command("part", pv, size=1024, grow=True, ondisk=disk) for pv, disk in zip(pvs, disks, strict=True)),
        _command("volgroup", group, *pvs),
        *(
            _command(
                "logvol",
                filesystem.mount or "swap",
                vgname=group,
                name=name,
                fstype=filesystem.fstype,
                size=filesystem.size,
                grow=filesystem.grow,
            )
            for name, filesystem in sorted(spec.filesystems.items())
        ),
    )


def _check_mounts(host: ResolvedHost, faults: list[Fault]) -> None:
    filesystems = host.spec.filesystems
    for name, filesystem in filesystems.items():
        path, mount = ("filesystems", name), filesystem.mount
        if (filesystem.fstype == "swap") == (mount is not None):
            what = "is swap and has a mount point" if mount else "has no mount point"
            hint = "remove 'mount:'" if mount else "write 'mount: /PATH', or 'fstype: swap'"
            faults.append(Fault((*path, "mount"), "BF046", f"filesystem {name} {what}", hint))
        elif mount and (mount == "/boot" or mount.startswith("/boot/")):
            hint = "every host has a partition for it; leave it out"
            faults.append(Fault((*path, "mount"), "BF046", f"{mount} cannot be in a volume group", hint))
        elif mount and (not mount.startswith("/") or posixpath.normpath(mount) != mount or mount.startswith("//")):
            hint = "write an absolute path in its shortest form, as in /var/lib"
            faults.append(Fault((*path, "mount"), "BF046", f"{mount!r} is not a mount point", hint))
    mounts = {name: one.mount for name, one in filesystems.items() if one.mount}
    for names in _equal(mounts):
        what = f"{' and '.join(names)} are both mounted at {mounts[names[0]]}"
        at = _written(host, [("filesystems", name, "mount") for name in names])
        faults.append(Fault(at, "BF046", what, "give each a mount point of its own"))
    if "/" not in mounts.values():
        hint = "choose a layout that has it, or write 'filesystems: {root: {mount: /, size: 8GiB}}'"
        faults.append(Fault(("filesystems",), "BF046", "nothing is mounted at /", hint))


def _equal(values: Mapping[str, str]) -> list[list[str]]:
    """Names that share a value, sorted."""
    groups: dict[str, list[str]] = {}
    for name, value in sorted(values.items()):
        groups.setdefault(value, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _written(host: ResolvedHost, paths: Sequence[Path]) -> Path:
    """Of paths that do not go together, the last that the site itself wrote: a shipped file is not to be changed."""
    values = host.merged.values
    return ([path for path in paths if not values[path].origin.file.startswith("shipped:")] or list(paths))[-1]


def _packages(host: ResolvedHost, faults: list[Fault]) -> tuple[Package, ...]:
    """An environment first, then groups, then packages: the order in which pykickstart writes them."""
    packages = host.spec.packages
    environments = [name for name in packages if name.startswith("@^")]
    if len(environments) > 1:
        at = _written(host, [("packages", name) for name in environments])
        other = next(name for name in environments if name != at[-1])
        what = f"two environments of packages: {' and '.join(environments)}"
        faults.append(Fault(at, "BF047", what, f"""write 'packages-: ["{other}"]'"""))
    ordered = sorted(packages, key=lambda name: (not name.startswith("@^"), not name.startswith("@"), name))
    return tuple(Package(name) for name in ordered)
