"""``seal`` is the only way to a secret: every verb and every route is run over seeded secrets, and everything that
comes out or stays behind is searched for them. They are found in the armed host's sealed kickstart, nowhere else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootforge.cli import VERBS
from bootforge.serve.http import ROUTES
from tests.support import EXAMPLE, Done, Running, running

ENV, FILE, COMMAND = (f"$6$seeded{word}$" + f"SeCrEt{word}" * 9 for word in ("Env", "File", "Cmd"))
SEEDS = {"web01.prod.den.example.com": ENV, "db01.prod.den.example.com": FILE, "app01.qa.den.example.com": COMMAND}
HOST, MAC = "web01.prod.den.example.com", "00:14:4f:12:34:50"


def seeded_site(base: Path) -> Path:
    """The example, in which each host has a root password from another kind of source."""
    site, file, command = base / "site", base / "hash", base / "print-hash"
    shutil.copytree(EXAMPLE, site)
    file.write_text(FILE + "\n")
    file.chmod(0o600)
    command.write_text(f"#!/bin/sh\necho '{COMMAND}'\necho '{COMMAND}' >&2\n")
    command.chmod(0o700)
    sources = (
        f"secrets:\n  by_env: {{env: SEEDED}}\n  by_file: {{file: {file}}}\n  by_command: {{command: [{command}]}}\n"
    )
    text = (site / "site.yaml").read_text()
    begin, end = text.index("secrets:"), text.index("# The weakest layer")
    (site / "site.yaml").write_text(
        (text[:begin] + sources + text[end:]).replace("secret: root_hash", "secret: by_env")
    )
    for role, name in (("db", "by_file"), ("app", "by_command")):
        with (site / f"roles/{role}.yaml").open("a") as rest:
            rest.write(f"root_password: {{secret: {name}}}\n")
    return site


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    base = tmp_path_factory.mktemp("secrets")
    site = seeded_site(base)
    with running(site, base / "state", SEEDED=ENV) as served:
        yield served


def seeds_in(content: bytes) -> list[str]:
    """Which seeds stand in something, as they are or as the parts that tell them."""
    return [host for host, seed in SEEDS.items() if seed.encode() in content or seed[10:40].encode() in content]


VERB_CALLS: dict[str, list[list[str]]] = {
    "init": [["NEW"]],
    "check": [[], ["-v"], ["--format", "json"], ["--format", "github"]],
    "hosts": [[], ["--json"], ["-v"]],
    "show": [[h, "--stage", s, *j] for h in SEEDS for s in ("resolved", "plan", "artifacts") for j in ([], ["--json"])],
    "explain": [[h, *more] for h in SEEDS for more in ([], ["root_password"], ["--json"])],
    "render": [
        *([h, *more] for h in SEEDS for more in ([], ["kickstart"], ["kickstart", "--json"], ["ipxe"], ["bootstrap"])),
        ["--all", "-o", "TREE"],
        [HOST, "nonsense"],
    ],
    "dhcp": [["dnsmasq"], ["dnsmasq", "--mode", "proxy"]],
    "domain": [["app01.qa.den.example.com"], [HOST]],
    "serve": [["--http-port", "0", "--tftp-port", "0", "--bind", "192.0.2.1"]],
    "arm": [[*SEEDS, "--json"], [HOST, "--why", "again"], [HOST, "--ttl", "nonsense"]],
    "disarm": [["app01.qa.den.example.com"], ["db01.prod.den.example.com", "--json"]],
    "status": [[], ["--json"], ["-v"]],
    "events": [[], ["--json"], [HOST]],
    "log": [[HOST], [HOST, "--json"]],
}


def run_every_verb(server: Running, base: Path) -> dict[str, bytes]:
    """What each verb printed, with and without credentials in the environment."""
    assert {*VERB_CALLS} == {*VERBS}, "a verb is not searched for secrets"
    printed = {}
    for verb, calls in VERB_CALLS.items():
        for number, words in enumerate(calls):
            words = [str(base / word) if word in ("NEW", "TREE") else word for word in words]
            done: Done = server.run(verb, *words)
            printed[f"{verb} {' '.join(words)} #{number}"] = (done.out + done.err).encode()
    return printed


def run_every_route(server: Running) -> tuple[dict[str, bytes], bytes]:
    """Every route's answers, right and wrong; and the one answer that may hold a secret."""
    path = server.arm(HOST)
    token = path.split("/")[3]
    answers, sealed = {}, b""
    for route in ROUTES:
        for host in SEEDS:
            for given in (token, "0" * 32, "", "%00"):
                for source in ("127.0.0.1", "127.0.0.2"):
                    rule = route.rule.replace("<mac>", MAC).replace("<host>", host).replace("<outcome>", "failed")
                    rule = rule.replace("<token>", given)
                    body = b"report of a failure" if route.method == "POST" else None
                    for data in (None, body):
                        answer = server.get(rule, source, data, X_Forwarded_For="10.2.0.21")
                        text = answer.body + repr(answer.headers).encode()
                        if rule == path and answer.status == 200 and data is None:
                            sealed = answer.body
                        else:
                            answers[f"{source} {rule} {data!r}"] = text
    return answers, sealed


def test_a_secret_is_found_in_the_armed_hosts_kickstart_and_nowhere_else(server: Running, tmp_path: Path) -> None:
    answers, sealed = run_every_route(server)
    assert ENV.encode() in sealed and seeds_in(sealed) == [HOST]
    found = {where: seeds_in(text) for where, text in answers.items()}
    printed = run_every_verb(server, tmp_path)
    found |= {where: seeds_in(text) for where, text in printed.items()}
    assert any(b"rootpw --iscrypted @secret:by_env@" in text for text in printed.values())
    (server.site / "rules.yaml").write_text("rules: [broken\n")
    server.wait_for_log("the site is broken")
    found["the server's log"] = seeds_in(server.log.read_bytes())
    state = Path(server.store.removeprefix("sqlite:///")).parent
    kept = [path for base in (state, tmp_path) for path in base.rglob("*") if path.is_file()]
    assert {"store.db", "key", "serve.log", "site.yaml", "kickstart"} <= {path.name for path in kept}
    found |= {str(path): seeds_in(path.read_bytes()) for path in kept}
    assert {where: seeds for where, seeds in found.items() if seeds} == {}
    assert len(found) > 150


def test_a_planted_leak_is_found() -> None:
    assert seeds_in(f"rootpw --iscrypted '{ENV}'\n".encode()) == [HOST]
    assert seeds_in(b"a hash: " + COMMAND[8:50].encode()) == ["app01.qa.den.example.com"]
