"""What a change of a site does to its hosts: artifacts of two generations, and which hosts share a difference."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bootforge.generation import Generation
from bootforge.model import Plan
from bootforge.plan.digest import own_values, plan_digest, without_own

_CONTEXT = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One difference in one artifact, as the lines of a unified diff of the first of its ``hosts``; in the others it
    differs in their own names and addresses only."""

    artifact: str
    hosts: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``changed``: by host, the artifacts that differ. ``changes``: those that most hosts share come first."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def compare(old: Generation, new: Generation) -> Comparison:
    """Every host of either generation; a host whose plan and templates are the same is not rendered. Raises
    RenderError.

    Digests that follow from what differs (of the plan, in the bootstrap; of the bootstrap, in the kickstart) are not
    shown as differences."""
    both = sorted(set(old.plans) & set(new.plans))
    changed: dict[str, tuple[str, ...]] = {}
    alike: dict[tuple[str, tuple[str, ...]], tuple[list[str], tuple[str, ...]]] = {}
    for name in both:
        before, after = old.plan(name), new.plan(name)
        if old.engine.digest == new.engine.digest and plan_digest(before) == plan_digest(after):
            continue
        texts = _texts(old, before), _texts(new, after)
        found = [kind for kind in sorted({*texts[0], *texts[1]}) if texts[0].get(kind) != texts[1].get(kind)]
        if found:
            changed[name] = tuple(found)
        own = own_values(before), own_values(after)
        for kind in found:
            for lines in _hunks(texts[0].get(kind, ""), texts[1].get(kind, "")):
                key = kind, tuple(without_own(without_own(line, own[0]), own[1]) for line in lines)
                alike.setdefault(key, ([], lines))[0].append(name)
    changes = [Change(kind, tuple(hosts), lines) for (kind, _), (hosts, lines) in alike.items()]
    changes.sort(key=lambda one: (-len(one.hosts), one.artifact, one.hosts))
    added = tuple(sorted(set(new.plans) - set(old.plans)))
    removed = tuple(sorted(set(old.plans) - set(new.plans)))
    return Comparison(added, removed, changed, tuple(changes))


def _texts(generation: Generation, plan: Plan) -> dict[str, str]:
    artifacts = generation.artifacts(plan.host.text)
    digests = {plan_digest(plan): "@plan@", artifacts["bootstrap"].digest: "@bootstrap@"}
    texts = {name: artifact.text for name, artifact in artifacts.items()}
    for digest, shown in digests.items():
        texts = {name: text.replace(digest, shown) for name, text in texts.items()}
    return texts


def _hunks(old: str, new: str) -> Iterator[tuple[str, ...]]:
    """The hunks of a unified diff, without their line numbers."""
    hunk: list[str] = []
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=_CONTEXT, lineterm="")
    for line in [*lines][2:]:
        if line.startswith("@@"):
            if hunk:
                yield tuple(hunk)
            hunk = []
        else:
            hunk.append(line)
    if hunk:
        yield tuple(hunk)
