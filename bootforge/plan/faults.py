"""How a planner says that a specification cannot be carried out: by path, because plans know no files."""

from __future__ import annotations

from dataclasses import dataclass

from bootforge.model import Path


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
