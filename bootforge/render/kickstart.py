"""The kickstart, from the one template."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bootforge.model import Artifact, Plan
from bootforge.render.engine import Engine
from bootforge.render.slots import FILTERS, make_artifact
from bootforge.words import WIPED, DiskNames, KsCommand, Slot


@dataclass(frozen=True, slots=True)
class _Secret:
    """A secret that the bootstrap takes from a file of its name."""

    name: str
    slot: Slot


def render_kickstart(plan: Plan, bootstrap: Artifact, engine: Engine) -> Artifact:
    """The kickstart. It embeds the digest of the bootstrap that its %post fetches, and holds the secrets' slots."""
    secrets = sorted({name for step in plan.steps if "install" in step.phases for name in step.secrets})
    text = engine.render(
        "kickstart.cfg.j2",
        host=plan.host,
        install=plan.install,
        bootstrap=bootstrap,
        secrets=tuple(_Secret(name, Slot(f"secret:{name}")) for name in secrets),
        revision=Slot("site.revision"),
        wipe=Slot("grant.wipe"),
        url=plan.boot.kickstart,
    )
    return make_artifact("kickstart", "text/plain; charset=utf-8", text)


STORAGE = "%include /tmp/bootforge-storage\n"
"""The line of a kickstart whose storage commands are written by %pre."""


def expanded(plan: Plan, kickstart: str) -> list[str]:
    """The kickstart as the installer reads it once %pre has run, with sda, sdb and so on as the disks that were found:
    when every group is made, and when those that are kept are there. One text where nothing depends on %pre."""
    lines = plan.install.disks.lines
    if not lines:
        return [kickstart]
    outcomes = ("make:", "keep:") if any(line.when for line in lines) else ("make:",)
    kept = {name for line in lines if line.when.startswith("make:") for name in _disks(line.command)}
    texts = []
    for outcome in outcomes:
        wiped = [n for n in plan.install.disks.numbers if outcome == "make:" or n not in kept]
        written = (_exemplar(line.command, wiped) for line in lines if not line.when or line.when.startswith(outcome))
        storage = "".join(f"{FILTERS['ks'](command)}\n" for command in written)
        texts.append(kickstart.replace(STORAGE, storage))
    return texts


def _disks(command: KsCommand) -> list[str | int]:
    return [name for one in command.options if isinstance(one.value, DiskNames) for name in one.value.names]


def _exemplar(command: KsCommand, wiped: list[int]) -> KsCommand:
    options = []
    for option in command.options:
        if isinstance(option.value, DiskNames):
            numbers = [n for name in option.value.names for n in (wiped if name == WIPED else [name])]
            option = replace(option, value=DiskNames(tuple(n if isinstance(n, str) else _kernel(n) for n in numbers)))
        options.append(option)
    return replace(command, options=tuple(options))


def _kernel(number: int) -> str:
    """The kernel's name of the NUMBER-th SCSI disk: sda, sdz, sdaa."""
    letters = ""
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return "sd" + letters
