"""What Bootforge observed and permitted: grants, events and logs, in SQLite or PostgreSQL."""

from bootforge.store.database import StoreError, StoreLocked
from bootforge.store.events import EventRow
from bootforge.store.grants import Decision, GrantRow, HostStatus, Outcome, Reason
from bootforge.store.open import open_store
from bootforge.store.runs import RunRow, StepRow
from bootforge.store.schema import State
from bootforge.store.store import LogRow, Store

__all__ = [
    "Decision", "EventRow", "GrantRow", "HostStatus", "LogRow", "Outcome", "Reason", "RunRow", "State", "StepRow",
    "Store", "StoreError", "StoreLocked", "open_store",
]  # fmt: skip
