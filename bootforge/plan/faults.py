"""How a planner says that a specification cannot be carried out: by path, because plans know no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootforge.errors import did_you_mean
from bootforge.model import Path
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding about a path of one host; the generation joins it to the line that wrote the path."""

    path: Path
    code: str
    message: str
    hint: str = ""


class PlanError(Exception):
    """The host cannot be planned: every fault that was found."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = tuple(faults)


def check_secret(site: Site, name: str, path: Path, faults: list[Fault]) -> None:
    """A fault when the site declares no secret of that name."""
    if name not in site.secrets:
        hint = did_you_mean(name, site.secrets) or "declare it under 'secrets:' in site.yaml"
        faults.append(Fault(path, "BF044", f"no secret '{name}'", hint))


def written(host: ResolvedHost, paths: Sequence[Path]) -> Path:
    """Of paths that do not go together, the last that the site itself wrote: a shipped file is not to be changed."""
    values = host.merged.values
    return ([path for path in paths if not values[path].origin.file.startswith("shipped:")] or list(paths))[-1]
