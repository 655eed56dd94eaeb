"""Settings of the installed system as steps: kernel modules, sysctl, kernel arguments, time, language, cron; security
is in plan/security.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bootforge.model import Nic
from bootforge.model_steps import Step, whole_file
from bootforge.plan.faults import Fault
from bootforge.plan.security import LIVE, plan_protection
from bootforge.plan.shared import shared
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.scalars_settings import sysctl_file
from bootforge.words import Arg

_HEAD = "# Written by Bootforge; changes are lost.\n"


def plan_system(
    host: ResolvedHost, nics: tuple[Nic, ...], sysctl: tuple[tuple[str, str], ...], faults: list[Fault]
) -> tuple[Step, ...]:
    """The steps of the system's settings. Modules are first: some keys of sysctl are made by a module. ``sysctl``: keys
    that the storage network needs besides those of the site."""
    spec, release = host.spec, RELEASES[host.release]
    kernel_of = (spec.kernel_modules, spec.kernel_module_options, spec.sysctl, spec.kernel_args)
    system_of = (spec.timezone, spec.language, spec.keyboard, spec.cron, spec.users)
    security_of = (spec.selinux, spec.selinux_booleans, spec.selinux_contexts, spec.firewall, spec.services)
    before, after = shared(
        host,
        ("settings", host.release, repr(sysctl), *kernel_of, *system_of, *security_of),
        faults,
        lambda: (
            (
                *_modules(host, release, faults),
                *_sysctl(host, release, dict(sysctl), faults),
                _kernel_args(host),
                *_locale(host, release),
            ),
            (*_cron(host, faults), *plan_protection(host, release, faults)),
        ),
    )
    return (*before, *_time_servers(host, release, nics), *after)


def time_servers(host: ResolvedHost, nics: tuple[Nic, ...]) -> tuple[str, ...]:
    """Those that the host names, else those of the network that it is installed from."""
    return host.spec.ntp or next((nic.network.ntp for nic in nics if nic.install and nic.network), ())


def _made_or_absent(step: Step | None, id: str, file: str, path: tuple[str, ...], *notify: str) -> Step:
    """The step, or one that takes away what an earlier site asked for."""
    return step or Step(id, "absent", (file,), path, notify=notify)


def _modules(host: ResolvedHost, release: Release, faults: list[Fault]) -> Iterator[Step]:
    """``install NAME /bin/false`` keeps a module out also when somebody asks for it by name, which ``blacklist`` does
    not (modprobe.d(5)). The initramfs has a copy of /etc/modprobe.d."""
    modules, options = host.spec.kernel_modules, host.spec.kernel_module_options
    seen: dict[str, str] = {}
    for name in modules:
        other = seen.setdefault(name.replace("-", "_"), name)
        if other != name:
            what = f"'{name}' and '{other}' are one module"
            faults.append(Fault(("kernel_modules", name), "BF141", what, "write it once; - and _ are the same"))
    for name in options:
        if modules.get(seen.get(name.replace("-", "_"), "")) == "blacklist":
            what = f"options for {name}, which nothing may load"
            faults.append(Fault(("kernel_module_options", name), "BF141", what, "drop one of the two"))
    load = sorted(name for name, action in modules.items() if action == "load")
    never = sorted(name for name, action in modules.items() if action == "blacklist")
    if release.systemd:
        file, mode, text = "/etc/modules-load.d/bootforge.conf", "644", "".join(f"{name}\n" for name in load)
    else:
        file, mode = "/etc/sysconfig/modules/bootforge.modules", "755"
        text = "".join(f"/sbin/modprobe {name}\n" for name in load)
    head = _HEAD if release.systemd else f"#!/bin/sh\n{_HEAD}"
    path = ("kernel_modules",)
    made = whole_file("kernel-modules", file, head + text, path, mode=mode) if load else None
    yield _made_or_absent(made, "kernel-modules", file, path)
    file = "/etc/modprobe.d/bootforge.conf"
    text = "".join(f"blacklist {name}\ninstall {name} /bin/false\n" for name in never)
    text += "".join(f"options {name} {words}\n" for name, words in sorted(options.items()))
    made = whole_file("kernel-modules:modprobe", file, _HEAD + text, path, notify=("initramfs",)) if text else None
    yield _made_or_absent(made, "kernel-modules:modprobe", file, path, "initramfs")
    live: list[Arg] = [word for name in (*load, *never) for word in (modules[name], name)]
    if live:
        needs = ("kernel-modules", "kernel-modules:modprobe")
        yield Step("kernel-modules-live", "modules_live", tuple(live), path, LIVE, needs)


def _sysctl(host: ResolvedHost, release: Release, more: Mapping[str, str], faults: list[Fault]) -> Iterator[Step]:
    """net.ipv4.ip_forward is first: the kernel sets others anew when it is written
    (Documentation/networking/ip-sysctl.rst)."""
    settings = {**more, **host.spec.sysctl}
    keys = sorted(settings, key=lambda key: (sysctl_file(key) != "net/ipv4/ip_forward", sysctl_file(key)))
    seen: dict[str, str] = {}
    for key in keys:
        if (other := seen.setdefault(sysctl_file(key), key)) != key:
            what = f"'{key}' and '{other}' are one key"
            faults.append(Fault(("sysctl", key), "BF140", what, "write it once"))
    lines, path = "".join(f"{key} = {settings[key]}\n" for key in keys), ("sysctl",)
    if release.sysctl_d:
        file = "/etc/sysctl.d/90-bootforge.conf"
        made = whole_file("sysctl", file, _HEAD + lines, path) if lines else None
        yield _made_or_absent(made, "sysctl", file, path)
    else:
        yield Step("sysctl", "sysctl_block", (), path, content=lines or None)
    live: list[Arg] = [word for key in keys for word in (sysctl_file(key), settings[key])]
    if live:
        yield Step("sysctl-live", "sysctl_live", tuple(live), path, LIVE)


def _kernel_args(host: ResolvedHost) -> Step:
    """The installer gave them to the kernel that it installed. An argument that stands there several times, as consoles
    do, is left to it: grubby(8) would make all of them one."""
    keys = [word.partition("=")[0] for word in host.spec.kernel_args]
    args = [word for word in host.spec.kernel_args if keys.count(word.partition("=")[0]) == 1]
    kept = tuple(dict.fromkeys(word for word in args if not word.startswith("console=")))
    return Step("kernel-args", "kernel_args", (" ".join(kept),), ("kernel_args",), LIVE)


def _locale(host: ResolvedHost, release: Release) -> Iterator[Step]:
    spec = host.spec
    zone = "zone_link" if release.systemd else "zone_copy"
    yield Step("timezone", zone, (spec.timezone,), ("timezone",))
    locale, keyboard = ("locale.conf", "vconsole.conf") if release.systemd else ("sysconfig/i18n", "sysconfig/keyboard")
    yield Step("language", "assign", (f"/etc/{locale}", "LANG", spec.language, '"'), ("language",))
    keymap = "KEYMAP" if release.systemd else "KEYTABLE"
    yield Step("keyboard", "assign", (f"/etc/{keyboard}", keymap, spec.keyboard, '"'), ("keyboard",))


def _time_servers(host: ResolvedHost, release: Release, nics: tuple[Nic, ...]) -> Iterator[Step]:
    servers = time_servers(host, nics)
    file, daemon = ("/etc/chrony.conf", "chronyd") if release.chrony else ("/etc/ntp.conf", "ntpd")
    if servers:
        yield Step("ntp", "time_servers", (file, *servers), ("ntp",), notify=(f"restart:{daemon}",))


def _cron(host: ResolvedHost, faults: list[Fault]) -> Iterator[Step]:
    """A file for each entry; one more step takes away the files of entries that have left the site."""
    for name, entry in sorted(host.spec.cron.items()):
        user = host.spec.users.get(entry.user)
        if user and user.state == "absent":
            what = f"the user '{entry.user}' is absent"
            faults.append(Fault(("cron", name, "user"), "BF142", what, "name another, or drop the entry"))
        text = _HEAD + "".join(f'{key}="{value}"\n' for key, value in sorted(entry.environment.items()))
        command = entry.command.replace("%", "\\%")
        text += f"{entry.schedule} {entry.user} {command}\n"
        yield whole_file(f"cron:{name}", f"/etc/cron.d/bootforge-{name}", text, ("cron", name))
    yield Step("cron", "cron_files", tuple(sorted(host.spec.cron)), ("cron",))
