"""Everything is documented: verbs, options, keys, error codes, routes; and what the README says, works."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from bootforge.serve.bootfiles import RULES
from bootforge.serve.http import ROUTES
from bootforge.serve.media import RULE
from tests.docs.generate import documents
from tests.support import ROOT, environment, need
from tests.unit.test_store import STATES

_CODE = re.compile(r'"(BF\d{3})"')


def test_generated_parts_are_up_to_date(request: pytest.FixtureRequest) -> None:
    for path, text in documents().items():
        if request.config.getoption("--update-golden"):
            (ROOT / path).write_text(text)
        assert (ROOT / path).read_text() == text, f"{path}: run pytest tests/docs --update-golden"


def codes_in(source: str) -> set[str]:
    return set(_CODE.findall(source))


def test_every_error_code_has_a_paragraph_and_every_paragraph_a_code() -> None:
    used = codes_in("".join(path.read_text() for path in (ROOT / "bootforge").rglob("*.py")))
    documented = re.findall(r"^### (BF\d{3})$", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    assert sorted(used) == documented
    assert codes_in('Problem(at, "BF999", "x")') - set(documented) == {"BF999"}


def test_every_route_is_documented() -> None:
    text = (ROOT / "docs/boot.md").read_text()
    assert RULE in text and all(rule in text for rule in RULES)
    for route in ROUTES:
        assert route.rule.replace("<outcome>", "installed") in text, f"{route.rule} is not in docs/boot.md"


def test_the_table_of_states_is_the_one_that_is_tested() -> None:
    assert STATES.strip() in (ROOT / "docs/states.md").read_text()


def test_links_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name} links to {link}"


def test_the_arrays_of_the_documentation_are_tested_ones() -> None:
    arrays = (ROOT / "tests/cases/with/san/arrays.yaml").read_text()
    assert f"```yaml\n# arrays.yaml\n{arrays}```\n" in (ROOT / "docs/site.md").read_text()


def readme_blocks() -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """The ten minutes of the README, against a directory and ports of the test's own; and a network, if we are root."""
    root = os.geteuid() == 0
    need("dnsmasq", "openssl", "unshare", "ip")
    text = "\n".join(readme_blocks())
    assert "bootforge serve --dnsmasq proxy\n" in text and "bootforge arm web01.prod.example.com" in text
    script = text.replace("/srv/site", str(tmp_path / "site"))
    kept = []
    for line in (line.strip() for line in script.splitlines()):
        if line.startswith(("make ", "apt ", "python3 -m venv", "export PATH=")):
            continue
        if line == "bootforge serve --dnsmasq proxy":
            proxy = " --dnsmasq proxy" if root else ""
            line = f"bootforge serve{proxy} --bind 127.0.0.1 --http-port 0 --tftp-port 0"
            line += " & server=$!; sleep 3; kill -0 $server"
        line = line.replace("$(openssl passwd -6)", "$(openssl passwd -6 secret)")
        kept.append(line.replace(" --watch", "").replace(" --follow", ""))
    kept.append("kill $server; wait $server")
    env = environment(BOOTFORGE_STORE=f"sqlite:///{tmp_path}/store.db")
    env["PATH"] = f"{ROOT}/.venv/bin:{env['PATH']}:/usr/sbin"
    own = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"] if root else []
    done = subprocess.run(
        [*own, "bash", "-euxc", "\n".join(kept)], env=env, capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "armed" in done.stdout and "rootpw --iscrypted @secret:root_hash@" in done.stdout
