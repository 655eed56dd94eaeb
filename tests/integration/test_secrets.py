"""``seal`` is the only way to a secret: every verb and every route, and nothing of what they print, log or store.

A verb or route that is new, or an option that no run below uses, fails here until it is run.
"""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

import bootforge.cli.site
from bootforge.serve.http import ROUTES
from bootforge.serve.media import RULE
from tests.integration.edge import KEY, SITE, host, mac, name, state_bytes
from tests.support import ROOT, Running, environment, heed_interrupts, running, write_site
from tests.verbs import commands

GOOD = {1: "env", 2: "file", 3: "command"}
BAD = {4: "plain", 5: "open", 6: "fails", 7: "lines"}
HOSTS = {**GOOD, **BAD}
"""The hosts by number, each with a root password of its own. Those of BAD cannot be had, for reasons in which
their values could be told: no crypt hash, a file that others may read, a command that fails, two lines."""

SEEDS = {number: f"Leak{word.capitalize()}" * 3 for number, word in HOSTS.items()}
"""What is searched for: a part of each secret that is nowhere else."""


def value(number: int) -> str:
    seed = SEEDS[number]
    return seed if HOSTS[number] == "plain" else f"$6$rounds=5000$saltsalt${seed}{'x' * (86 - len(seed))}"


@dataclass
class Scene:
    """The server, and everything that came out of it and of the command line, by where it came from."""

    server: Running
    outputs: dict[str, bytes] = field(default_factory=dict)
    sealed: dict[int, bytes] = field(default_factory=dict)


SSH = """\
#!/bin/sh
echo bootforge-ready -
cat >>{pushed}
printf 'bootforge\\tx\\trun\\t\\tr\\tp\\nok\\t1\\tusers:root\\t\\nend\\t1\\t0\\tx\\n'
"""
"""A machine that takes what ``run`` sends, and does nothing; real ones are in test_run.py."""


def leaks(outputs: Mapping[str, bytes]) -> list[str]:
    """Where a seed is."""
    return [
        f"{SEEDS[number]} in {place}"
        for place, content in outputs.items()
        for number in HOSTS
        if SEEDS[number].encode() in content
    ]


def secret_site(root: Path) -> Path:
    """A site with a host for each source, and the sources beside it."""
    files = {"file": root / "secret-file", "open": root / "open-file"}
    for word, path in files.items():
        number = next(number for number in HOSTS if HOSTS[number] == word)
        path.write_text(value(number) + "\n")
        path.chmod(0o600 if word == "file" else 0o644)
    script = root / "secret-command"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = ok ] && echo {value(3)!r} && exit\necho {value(6)!r} >&2\necho {value(6)!r}\nexit 9\n'
    )
    script.chmod(0o700)
    secrets = f"""\
secrets:
  env: {{env: BOOTFORGE_TEST_ENV}}
  file: {{file: {files["file"]}}}
  command: {{command: [{script}, ok]}}
  plain: {{env: BOOTFORGE_TEST_PLAIN}}
  open: {{file: {files["open"]}}}
  fails: {{command: [{script}, no]}}
  lines: {{env: BOOTFORGE_TEST_LINES}}
"""
    settings = re.sub(r"secrets:\n(  .*\n)+", secrets, SITE).replace("  root_password: {secret: root_hash}\n", "")
    settings = (
        settings.replace("http://127.0.0.1", "http://127.0.0.1", 1) + "  authorized_keys: {root: [keys/ops.pub]}\n"
    )
    guest = "  virt: xen\n  vm: {disks: {xvda: {backing: /dev/vg0/guest}}}\n"
    hosts = [
        host(number, f"  root_password: {{secret: {word}}}\n" + (guest if number == 1 else ""))
        for number, word in HOSTS.items()
    ]
    site = {
        "site.yaml": settings.replace("lan: {subnet", "lan: {bridge: br0, subnet").replace(
            "san: {", "san: {bridge: br1, "
        ),
        "roles/web.yaml": "nics: {lan: {network: lan}}\n",
        "hosts/web.yaml": "".join(hosts),
        "keys/ops.pub": KEY,
    }
    return write_site(root / "site", site)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("secrets")
    (root / "tmp").mkdir()
    env = {
        "BOOTFORGE_TEST_ENV": value(1),
        "BOOTFORGE_TEST_PLAIN": value(4),
        "BOOTFORGE_TEST_LINES": f"first\n{value(7)}",
        "TMPDIR": str(root / "tmp"),
        "HOME": str(root / "tmp"),
        "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
    }
    (root / "bin").mkdir()
    (root / "bin/ssh").write_text(SSH.format(pushed=root / "pushed"))
    (root / "bin/ssh").chmod(0o755)
    with running(secret_site(root), root / "state", "-v", **env) as server:
        scene = Scene(server)
        for number in HOSTS:
            server.grant(name(number))
        every_route(scene)
        every_verb(scene, root)
        write_site(server.site, {"rules.yaml": "rules: [broken\n"})
        server.wait_for_log("the site is broken")
        (server.site / "rules.yaml").unlink()
        yield scene


# Every route


def every_route(scene: Scene) -> None:
    """Every route, for every host, with the right credentials and with wrong ones; HEAD too. A host is armed anew
    for each token that is used up."""
    for number in HOSTS:
        token = scene.server.grant(name(number)).split("/")[3]
        other = scene.server.grant(name(number % len(HOSTS) + 1)).split("/")[3]
        wrong = [other] if number > 1 else [other, "0" * 32, "%00", ""]
        for right, credential in [*((False, one) for one in wrong), (True, token)]:
            known = {
                "mac": [mac(number), "02:00:00:00:03" + mac(number)[-3:], "52:54:00:00:00:99"],
                "host": [name(number)],
                "token": [credential],
                "outcome": ["installed", "failed", "maybe"],
                "name": ["anaconda.log", "post.log", "nothing"],
            }
            for route in ROUTES:
                for path in paths(route.rule, known):
                    fetch(scene, number if right else 0, path, route.method)
    unknown = "/i/nobody.example.com/" + "0" * 32
    for path in ("/", unknown + "/kickstart", unknown + "/bootstrap", "/i/%00", "/m/x/boot.ipxe", *MEDIA):
        fetch(scene, 0, path, "GET")


def paths(rule: str, known: Mapping[str, list[str]]) -> list[str]:
    """The rule with its variables filled in, in every way that is known."""
    variable = re.search(r"<(\w+)>", rule)
    if not variable:
        return [rule]
    assert variable[1] in known, f"what is <{variable[1]}> in the route {rule}? Say it here"
    return [path for value in known[variable[1]] for path in paths(rule.replace(variable[0], value), known)]


def fetch(scene: Scene, number: int, path: str, method: str) -> None:
    """One answer, kept as an output; that of the right kickstart apart."""
    body = b"a report\n" if method == "POST" else b""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    for asked in ("HEAD", "GET") if method == "GET" else (method,):
        request = f"{asked} {path} HTTP/1.1\r\nHost: x\r\n{length}Connection: close\r\n\r\n".encode() + body
        answer = scene.server.send(request)
        assert answer.startswith(b"HTTP/1.1 "), (request, answer)
        scene.outputs[f"{asked} {path} again, by another ({len(scene.outputs)})"] = scene.server.send(
            request, "127.0.0.2"
        )
        if path.endswith(".cpio") and answer.startswith(b"HTTP/1.1 200 ") and asked == "GET":
            head, end, body = answer.partition(b"\r\n\r\n")
            answer = head + end + gzip.decompress(body)
        if asked == "GET" and "/kickstart" in path and number and answer.startswith(b"HTTP/1.1 200 "):
            scene.sealed[number] = answer
        else:
            scene.outputs[f"{asked} {path} ({len(scene.outputs)})"] = answer


MEDIA = tuple(RULE.replace("<path>", path) for path in ("", "t1/.treeinfo", "../key", "..%2fstore.db", "../serve.log"))


# Every verb


def runs(root: Path, url: str = "", tftp: str = "69") -> dict[str, list[list[str]]]:
    """How each verb is called; ``-v`` and ``--json`` are added where there are such options."""
    everybody = [name(number) for number in HOSTS]
    each = [[one] for one in everybody]
    tree = root / "tree"
    write_site(tree, {".treeinfo": "[general]\nfamily = Test\nversion = 9\n", "images/pxeboot/vmlinuz": "kernel" * 100})
    return {
        "init": [[str(root / "starter")]],
        "check": [[], [name(1), "--exhaustive", "--no-cache", "--format", "json"], [name(2), "--format", "github"]],
        "hosts": [[], ["web*"], ["role_web & el9"]],
        "show": [[*one, "--stage", stage] for one in each for stage in ("resolved", "plan", "artifacts")],
        "explain": [*each, [name(1), "root_password"], [name(1), "root_password.secret"], [name(1), "nics"]],
        "render": [
            *each,
            *([one, kind] for one in everybody for kind in ("kickstart", "bootstrap", "ipxe")),
            [name(1), "xl"],
            [name(1), "nothing"],
            ["--all", "-o", str(root / "rendered")],
            ["--all", "--output", str(root / "rendered"), "--jobs", "2"],
        ],
        "schema": [[], ["host"], ["nothing"]],
        "diff": [["HEAD"], ["HEAD", "HEAD", "--stat"], ["nothing"]],
        "lock": [[], ["--check"], ["web*"]],
        "budget": [[], ["--initiators"], ["--what-if", "web+=2"], ["--what-if", "nothing"]],
        "dhcp": [["dnsmasq"], ["dnsmasq", "--mode", "full"], ["dnsmasq", "--mode", "proxy"]],
        "domain": [[name(1)], [name(1), "--for", "xl", "--phase", "install"], [name(2)]],
        "serve": [
            ["--site", str(root / "site"), "--store", "sqlite:////proc/no/store.db"]
            + ["--bind", "127.0.0.1", "--http-port", "0", "--tftp-port", "0", "--tftp-single-port"]
            + ["--media", str(tree), "--nginx", "127.0.0.3", "--rev", "HEAD", "--dnsmasq", "proxy"]
            + ["--admin", "0", "--log-format", "json"]
        ],
        "doctor": [["--server", url, "--tftp-port", tftp], []],
        "simulate": [
            ["--mac", mac(number), "--arch", arch, "--server", url, "--tftp-port", tftp, *more]
            for number in (1, 4)
            for arch, more in (("0", []), ("7", ["--http", "--network", "lan"]))
        ],
        "arm": [[name(1)], ["web*", "--ttl", "1h", "--why", "a test", "--wipe", "system"]],
        "status": [[], *each],
        "events": [[], *each],
        "log": [
            *each,
            [name(1), "bootstrap"],
            [name(1), "post.log"],
            [name(1), "nothing"],
            [name(1), "stamp"],
            [name(1), "--runs"],
        ],
        "discovered": [[]],
        "adopt": [
            ["02:00:00:00:99:01", "--as", "web99.prod.example.com", "--nic", "lan", "--address", "127.0.9.99"]
            + ["--mac", "san=02:00:00:00:99:02"]
        ],
        "run": [
            ["web*", "--take-over", "--apply-network", "--batch", "50%", "--max-fail", "100%"],
            *([*one, "--take-over", "--diff", "--jobs", "2", "--timeout", "30s", "--by-address"] for one in each),
            [name(1), "--check"],
            [name(1), "--local", "--only", "nothing"],
        ],
        "media add": [[str(tree), "--name", "t1"], [str(root / "nothing")], [str(tree), "--name", "t2"]],
        "media list": [[]],
        "media verify": [[], ["t1"], ["nothing"]],
        "repo probe": [[f"{url}/media/t1/images/pxeboot/vmlinuz"], [f"{url}/nothing"], ["nothing"]],
        "loaders add": [[str(tree / "images/pxeboot/vmlinuz"), "undionly.kpxe"], [str(root / "nothing")]],
        "loaders list": [[]],
        "loaders remove": [["undionly.kpxe"], ["nothing"]],
        "media remove": [["t1"], ["t2", "--force"], ["nothing"], ["--unfinished"]],
        "disarm": [[name(2)], ["web*"]],
    }


ELSEWHERE = {("serve", "--help"), ("status", "--watch"), ("events", "--follow")}
"""Options that are used apart: those of verbs that do not end by themselves."""


def every_verb(scene: Scene, root: Path) -> None:
    following = [follow(scene, "status", "--watch"), follow(scene, "events", "--follow")]
    used: set[tuple[str, str]] = set()
    for word, calls in runs(root, scene.server.http, str(scene.server.tftp_port)).items():
        options = {option for param in commands()[word].params for option in param.opts}
        variants = [extra for extra in ([], ["-v"], ["--json"], ["--json", "-v"]) if set(extra) <= options]
        for number, call in enumerate(calls):
            # All variants of a verb's first call, then the longest and the shortest in turn.
            for extra in variants if not number else [variants[-(number % 2)]]:
                # A server that starts although it must not would take this process with it.
                done = (scene.server.run if word == "serve" else scene.server.verb)(*word.split(), *call, *extra)
                scene.outputs[f"{word} {' '.join([*call, *extra])}"] = (done.out + done.err).encode()
                used |= {(word, option) for option in [*call, *extra] if option.startswith("-")}
                asks = word in ("run", "repo probe", "doctor", "simulate")
                assert done.status in (0, 2, 3, 5 if asks else 0), (word, call, done)
    unused = missing_options(used)
    assert not unused, f"options that no run uses: {unused}"
    for process in following:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        scene.outputs[" ".join(process.args[3:])] = out + err  # type: ignore[index,misc]
        assert process.returncode == 130


def follow(scene: Scene, *args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bootforge", *args, "--json", "-v"]
    env = environment(BOOTFORGE_SITE=str(scene.server.site), BOOTFORGE_STORE=scene.server.store, **scene.server.env)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=ROOT, preexec_fn=heed_interrupts
    )


def missing_options(used: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The options of all verbs that were not used, under any of their names."""
    missing = []
    for word, command in commands().items():
        for param in command.params:
            names = {(word, option) for option in param.opts}
            by_variable = param.name in ("site", "store", "media") and word != "serve"
            if isinstance(param, click.Option) and not by_variable and not names & (used | ELSEWHERE):
                missing.append((word, max(param.opts, key=len)))
    return missing


# What must hold


def test_every_verb_is_run(tmp_path: Path) -> None:
    assert set(runs(tmp_path)) == set(commands())


def test_an_armed_host_has_its_secret_and_nobody_elses(scene: Scene) -> None:
    assert set(scene.sealed) == set(GOOD)
    for number, answer in scene.sealed.items():
        assert value(number).encode() in answer
        assert leaks({"kickstart": answer}) == [f"{SEEDS[number]} in kickstart"]


def test_a_run_sends_the_secrets_that_can_be_had(scene: Scene) -> None:
    pushed = (scene.server.site.parent / "pushed").read_text()
    lines = {line for line in pushed.splitlines() if any(seed in line for seed in SEEDS.values())}
    assert lines == {value(number) for number in HOSTS if HOSTS[number] in (*GOOD.values(), "plain")}


def test_no_answer_and_no_output_has_a_secret(scene: Scene) -> None:
    assert len(scene.outputs) > 300
    assert leaks(scene.outputs) == []
    told = b"".join(scene.outputs.values())
    for number, word in HOSTS.items():
        assert f"@secret:{word}@".encode() in told, "the name is shown in its place"
        assert number in GOOD or f"secret {word}".encode() in told, "why it cannot be had is told"


def test_no_file_has_a_secret(scene: Scene) -> None:
    root = scene.server.log.parent.parent
    files = {str(path): content for place in ("state", "rendered", "starter", "tmp", "site")
             for path, content in state_bytes(root / place)}  # fmt: skip
    names = {Path(path).name for path in files}
    assert {"store.db", "store.db-wal", "serve.log", "key", "kickstart", "ipxe", "last-good", "ops.pub"} <= names
    assert leaks(files) == []
    log = scene.server.log.read_text()
    assert "sqlalchemy" in log.lower() or "DEBUG" in log, "the log is the verbose one"
    assert "Traceback" not in log


def test_a_planted_leak_is_found(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """``show`` that prints what a secret is, instead of its name."""
    honest = bootforge.cli.site.plain

    def leaking(shown: object) -> object:
        made = honest(shown)
        if isinstance(made, dict) and "root_password" in made:
            import os

            made["root_password"] = os.environ["BOOTFORGE_TEST_ENV"]
        return made

    monkeypatch.setattr(bootforge.cli.site, "plain", leaking)
    done = scene.server.verb("show", name(1))
    assert leaks({"show": (done.out + done.err).encode()}) == [f"{SEEDS[1]} in show"]


def test_a_planted_option_is_missed() -> None:
    assert ("render", "--output") in missing_options(set())
    assert ("arm", "--why") in missing_options({("arm", "--ttl")})
