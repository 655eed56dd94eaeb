"""A host's bootstrap and its secrets, brought there and run. Secrets are here, on the pipe and on the host only: in no
argument, environment or file of this machine (docs/security.md).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bootforge.apply.outcome import Kind, Outcome
from bootforge.apply.session import CONNECT, Control, Session
from bootforge.apply.ssh import last_line, receiver, refused_by_sudo, ssh_command, why_unreachable
from bootforge.errors import RenderError, SecretError
from bootforge.generation import Generation
from bootforge.model import Plan
from bootforge.model_steps import Step
from bootforge.render.bootstrap import render_bootstrap
from bootforge.report import Line, Report, printable
from bootforge.seal import Vault

_KINDS: Mapping[int, Kind] = {0: "ok", 1: "differs", 6: "pending", 75: "locked"}
_NOBODY = "only checked, because no run has ever succeeded there; --take-over goes on"
_ANOTHER = "only checked, because the machine there says that it is {0}; --take-over goes on"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done, as the options of ``run`` say (docs/run.md). ``timeout`` in seconds."""

    check: bool = False
    diff: bool = False
    only: tuple[str, ...] = ()
    apply_network: bool = False
    take_over: bool = False
    local: bool = False
    by_address: bool = False
    timeout: float = 3600.0

    def steps(self, plan: Plan) -> tuple[str, ...]:
        """The ids of the steps that a run of that plan begins, in their order."""
        return (*(step.id for step in self._steps(plan)), *(() if self.only else ("stamp",)))

    def secrets(self, plan: Plan) -> list[str]:
        """The names of the secrets that those steps take."""
        return sorted({name for step in self._steps(plan) for name in step.secrets})

    def _steps(self, plan: Plan) -> Iterator[Step]:
        for step in plan.steps:
            if "run" in step.phases and (not self.only or {step.id, step.id.partition(":")[0]} & {*self.only}):
                yield step


@dataclass(slots=True)
class Push:
    """The same request for hosts of a generation. ``attend`` may be called by several threads."""

    generation: Generation
    request: Request
    _vault: Vault = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._vault = Vault(self.generation.site.secrets)

    def attend(self, host: str, control: Control, said: Callable[[Line], None]) -> Outcome:
        """One run on one host, from its beginning to its end, or to ours."""
        begun = time.monotonic()
        plan = self.generation.plan(host)
        try:
            secrets = {name: self._vault.get(name) for name in self.request.secrets(plan)}
            with self._lock:
                script = render_bootstrap(plan, self.generation.engine).text
        except (SecretError, RenderError) as error:
            return Outcome(host, "failed", text=str(error))
        stamped = []

        def payload(name: str) -> bytes:
            stamped.append(name)
            return self._payload(name == host, script, secrets)

        timeout = self.request.timeout
        session = Session(self._command(plan), self._environment(), payload, said, control, timeout, self.request.local)
        try:
            session.run()
        except OSError as error:
            return Outcome(host, "failed", text=f"{session.argv[0]} cannot be started: {error.strerror}")
        report = session.reader.report()
        kind, text, why = self._judge(host, session, report, stamped[0] if stamped else "")
        seconds = time.monotonic() - begun
        return Outcome(host, kind, report, printable(text), why, seconds, session.reader.text, session.reader.diffs)

    def _command(self, plan: Plan) -> list[str]:
        if self.request.local:
            return [*receiver()]
        nics = (plan.install_nic, *plan.nics)
        addresses = (address for nic in nics for address in (nic.address, nic.address6) if address)
        address = next((str(address.ip) for address in addresses), "") if self.request.by_address else ""
        return ssh_command(plan.host.text, address)

    def _environment(self) -> dict[str, str]:
        """Ours, without the variables that secrets come from."""
        sources = {spec.env for spec in self.generation.site.secrets.values() if spec.env}
        return {name: value for name, value in os.environ.items() if name not in sources}

    def _payload(self, known: bool, script: str, secrets: Mapping[str, str]) -> bytes:
        """What templates/run/receive.sh reads. A machine that is not known to be the host is only checked, and gets no
        secret."""
        asked = self.request
        trusted = known or asked.take_over
        words = ["--phase", "run", "--revision", self.generation.site.revision or "unknown"]
        words += [word for step in asked.only for word in ("--only", step)]
        changes = trusted and not asked.check
        flags = ((not changes, "--check"), (asked.diff, "--diff"), (asked.apply_network, "--apply-network"))
        words += [flag for on, flag in flags if on]
        values = secrets if trusted else {}
        body = script.encode()
        tail = "".join(f"{value}\n" for value in values.values()).encode()
        head = " ".join(["run" if changes else "check", str(len(body)), str(len(body) + len(tail)), *values])
        return f"{head}\n{' '.join(words)}\n".encode() + body + tail

    def _judge(self, host: str, session: Session, report: Report, stamped: str) -> tuple[Kind, str, str]:
        """How it ended, a text, and what kept us away."""
        errors = session.errors.decode(errors="replace")
        goes_on = "it goes on there by itself"
        match session.stop:
            case "enough":
                return "not begun", "interrupted before anything was begun", ""
            case "left":
                return "left", goes_on, ""
            case "unanswered":
                return "unreachable", f"no answer within {min(CONNECT, self.request.timeout):.0f} s", "timeout"
            case "late":
                return "lost", f"still at work after {self.request.timeout:.0f} s; {goes_on}", ""
            case "flood":
                return "failed", "it said more than any report is long", ""
        if report.exit is not None:
            return self._ended(host, report, stamped)
        status = session.status or 0
        if not session.ready:
            if sudo := refused_by_sudo(errors):
                return "failed", f"not root there, and sudo says: {sudo}", ""
            if status == 255 and not self.request.local:
                why, text = why_unreachable(errors, host)
                return "unreachable", text, why
            said = last_line(errors) or last_line(session.noise.decode(errors="replace"))
            return "failed", f"it does not answer as a shell does: {said or f'status {status}'}", ""
        if status == 75 and not report.host:
            return "locked", last_line(errors), ""
        if (status == 255 and not self.request.local) or status < 0:
            if not session.sent:
                return "unreachable", "the connection broke before anything was begun", "closed"
            return "lost", f"the connection broke; {goes_on}", ""
        return "failed", last_line(errors) or f"the script ended with status {status} and no report", ""

    def _ended(self, host: str, report: Report, stamped: str) -> tuple[Kind, str, str]:
        if stamped not in ("-", host) and not self.request.take_over:
            return "new", _ANOTHER.format(stamped), ""
        if report.check and not self.request.check:
            return "new", _NOBODY, ""
        assert report.exit is not None
        kind = _KINDS.get(report.exit, "failed")
        if kind == "ok" and report.count("changed"):
            kind = "changed"
        return kind, "", ""
