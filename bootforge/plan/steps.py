"""The bootstrap's steps, in the order in which they run. Each is one call of a function in templates/bootstrap/lib."""

from __future__ import annotations

from dataclasses import replace

from bootforge.errors import did_you_mean
from bootforge.model import Nic, Plan
from bootforge.model_steps import Step
from bootforge.model_storage import DiskPlan, StoragePlan
from bootforge.plan.access import plan_logins, plan_sudo
from bootforge.plan.accounts import plan_accounts
from bootforge.plan.digest import plan_digest
from bootforge.plan.faults import Fault
from bootforge.plan.files import plan_files, watched
from bootforge.plan.hooks import plan_hooks
from bootforge.plan.names import plan_hostname, plan_names
from bootforge.plan.netfiles import plan_network_files
from bootforge.plan.packages import plan_packages
from bootforge.plan.services import plan_services
from bootforge.plan.shared import shared
from bootforge.plan.storage_steps import plan_storage_steps, storage_nics
from bootforge.plan.system import plan_system
from bootforge.plan.trust import plan_trust
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.words import Arg

KINDS = (
    *("hostname", "storage-nics", "nic-names", "mark", "first-boot", "hosts", "resolver", "trust"),
    *("users", "groups", "keys"),
    *("rpm-keys", "repos", "repos-purge", "modules", "packages"),
    *(
        "storage-devices",
        "iscsi-initiator",
        "iscsi-conf",
        "iscsi-ifaces",
        "iscsi-secrets",
        "multipath",
        "lvm-scope",
        "san-boot",
        "fstab",
    ),
    *("san-services", "san-sysctl-live", "iscsi-login", "volumes", "paths"),
    *("directories", "files", "links", "absent", "edits", "sudo"),
    *("kernel-modules", "kernel-modules-live", "sysctl", "sysctl-live", "kernel-args"),
    *("timezone", "language", "keyboard", "ntp", "cron", "selinux", "selinux-booleans", "selinux-contexts", "firewall"),
    *("network-bonds", "network", "network-others", "services", "processes"),
    *("xen-memory", "guest-disks", "guests", "guests-defined", "hooks"),
)
"""Every kind of step that a host can have, in their order; what 'bootstrap: {watch: ...}' may name."""

_MADE = {
    "/etc/hostname": "hostname",
    "/etc/udev/rules.d/70-persistent-net.rules": "nic-names",
}
"""Paths that a step makes which is not one whole file."""

_EDITED = {"iscsi-conf": "/etc/iscsi/iscsid.conf", "fstab": "/etc/fstab", "lvm-scope": "/etc/lvm/lvm.conf"}
"""Files of packages in which a step has lines of its own; the site may edit others."""

_SITES = {(kind,) for kind in ("files", "links", "absent_paths", "edits")}


def plan_steps(
    site: Site,
    host: ResolvedHost,
    nics: tuple[Nic, ...],
    disks: DiskPlan,
    storage: StoragePlan | None,
    guests: tuple[Step, ...],
    faults: list[Fault],
) -> tuple[Step, ...]:
    """Every step but the stamp: who the host is, who may use it, what it runs, how it is reached, ``guests``. Volumes
    are before files, which may be on them."""
    first, held = storage_nics(storage, nics) if storage else (None, frozenset[str]())
    steps = (
        plan_hostname(host),
        *((first,) if first else ()),
        *_names_of_nics(nics, held),
        Step("mark", "mark", (disks.mark, *disks.tagged), ()),
        Step("first-boot", "first_boot", (), (), ("install",)),
        *plan_names(host, nics, faults),
        *shared(host, ("trust", host.release, host.spec.trust), faults, lambda: plan_trust(site, host, faults)),
        *_accounts(site, host, faults),
        *plan_packages(site, host, nics, faults),
        *plan_storage_steps(host, nics, storage, faults),
        *plan_files(site, host, faults),
        *shared(host, ("sudo", host.spec.sudo), faults, lambda: plan_sudo(host, faults)),
        *plan_system(host, nics, storage.sysctl if storage else (), faults),
        *_held(plan_network_files(host.name.text, nics, RELEASES[host.release], faults), held),
        *plan_services(host, faults),
        *guests,
        *plan_hooks(site, host, faults),
    )
    _one_of_each_file(steps, faults)
    return _watched(host, steps, faults)


def stamp(plan: Plan, library: str) -> Step:
    """The last step: which host this is and from what it was made. It says that the others succeeded.
    ``library``: the digest of the shell library."""
    step = Step("stamp", "stamp", (plan.host, plan_digest(plan), library), ())
    return watched(step) if all(one.watch for one in plan.steps) else step


def _watched(host: ResolvedHost, steps: tuple[Step, ...], faults: list[Fault]) -> tuple[Step, ...]:
    """The steps, of which those that are only to tell are marked so."""
    said = host.spec.bootstrap
    for kind in said.watch:
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS) or f"kinds: {', '.join(KINDS)}"
            faults.append(Fault(("bootstrap", "watch", kind), "BF117", f"no kind of steps '{kind}'", hint))
    if said.mode == "enforce" and not said.watch:
        return steps
    return tuple(
        watched(one) if said.mode == "watch" or one.id.partition(":")[0] in said.watch else one for one in steps
    )


def _one_of_each_file(steps: tuple[Step, ...], faults: list[Fault]) -> None:
    """Steps of which one would undo what another does."""
    of = dict(_MADE)
    for step in steps:
        if step.whole and step.path[:1] not in (("files",), ("directories",)):
            of.setdefault(step.whole.path, step.id)
    edited = {_EDITED[step.id]: step.id for step in steps if step.id in _EDITED}
    for step in steps:
        if step.path[:1] in _SITES and step.path[0] != "edits" and step.path[1] in edited:
            what = f"{step.path[1]} has lines of the step {edited[step.path[1]]}"
            faults.append(Fault(step.path, "BF111", what, "write 'edits:' for the site's own lines"))
        elif step.path[:1] in _SITES and step.path[1] in of:
            what = f"{step.path[1]} is made by the step {of[step.path[1]]}"
            faults.append(Fault(step.path, "BF111", what, "say it where that step takes it from, or drop it"))


def _accounts(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    spec = host.spec
    logins = (spec.root_password or "", spec.authorized_keys, spec.keys_policy)
    settings = ("accounts", host.release, spec.users, spec.groups, *logins)
    made = (plan_accounts, plan_logins)
    return shared(host, settings, faults, lambda: tuple(step for one in made for step in one(site, host, faults)))


def _names_of_nics(nics: tuple[Nic, ...], held: frozenset[str]) -> tuple[Step, ...]:
    named = [nic for nic in nics if nic.named and nic.mac]
    words: list[Arg] = [word for nic in named for word in (nic.mac or "", str(nic.device))]
    needs = ("storage-nics",) if held & {nic.name for nic in named} else ()
    return (Step("nic-names", "nic_names", tuple(words), ("nics",), needs=needs),) if words else ()


def _held(steps: tuple[Step, ...], held: frozenset[str]) -> tuple[Step, ...]:
    """Profiles of the network, of which those of nics for iSCSI, and of what these are made of, wait until the machine
    has turned out to have them."""
    return tuple(
        replace(one, needs=(*one.needs, "storage-nics"))
        if one.path[:1] == ("nics",) and one.path[1:2] and one.path[1] in held
        else one
        for one in steps
    )
