"""The parsers that will read an artifact, asked before anything boots: pykickstart of the release, and ``sh -n``."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from bootforge.errors import Problem, SiteError
from bootforge.generation import Generation, build_generation
from bootforge.lint import lint
from bootforge.lint.shape import kickstart_complaint, script_complaint
from bootforge.releases import RELEASES
from bootforge.resources import shipped
from tests.sites import APP, BASE, DB, WEB, base, generation_with
from tests.support import SMALL

SITES = [SMALL, BASE, shipped("templates") / "init"]
EXTENDS = '{% extends "shipped/kickstart.cfg.j2" %}\n'


@pytest.fixture(params=SITES, ids=["example", "base", "init"], scope="module")
def generation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return build_generation(shutil.copytree(request.param, tmp_path_factory.mktemp("lint") / "site"))


def test_pykickstart_accepts_every_host_with_warnings_as_errors(generation: Generation) -> None:
    """pykickstart itself, not our wrapper: every command is one of the release and none is deprecated."""
    assert generation.plans
    for name, plan in generation.plans.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parser = KickstartParser(makeVersion(RELEASES[plan.release].handler), errorsAreFatal=True)
            parser.readKickstartFromString(generation.artifact(name, "kickstart").text)
        handler = parser.handler
        assert handler.url.url == generation.host(name).spec.install.url
        assert {volume.mountpoint for volume in handler.logvol.lvList} >= {"/", "swap"}
        assert handler.network.network[0].hostname == name
        assert [script.interp for script in handler.scripts] == ["/bin/sh"] * 4
        assert handler.packages.environment == "minimal-environment"


def test_every_shell_accepts_every_bootstrap(generation: Generation) -> None:
    for name in generation.plans:
        text = generation.artifact(name, "bootstrap").text
        for shell in filter(shutil.which, ("sh", "dash", "bash")):
            done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), shell


def test_check_finds_nothing(generation: Generation) -> None:
    assert [*lint(generation, generation.plans)] == []


def linted(root: Path, files: dict[str, str], hosts: tuple[str, ...] = (DB,)) -> list[Problem]:
    return [*lint(generation_with(root, files), hosts)]


@pytest.mark.parametrize(
    "block,words",
    [
        ("selinux --permisive", "unrecognized arguments: --permisive"),
        ("selniux --permissive", "Unknown command: selniux"),
        ("install", "install"),  # a command of EL7
        ("auth --enableshadow", "auth"),  # deprecated in EL8, a warning
        ("%packages\nhttpd", "%end"),  # a section that never ends
        ("%include", "problem reading from line"),
        ("logvol /x --vgname=system --size=1GiB --name=x", "size"),
        ("rootpw --iscrypted 'x", "No closing quotation"),
        ("%post --interprter=/bin/sh\ntrue\n%end", "interprter"),
    ],
)
def test_a_block_that_pykickstart_refuses(tmp_path: Path, block: str, words: str) -> None:
    """A site's template of a kickstart that would end in the installer's dialog is found before anything boots."""
    files = {"templates/kickstart.cfg.j2": EXTENDS + "{% block security %}\n" + block + "\n{% endblock %}\n"}
    (problem,) = [problem for problem in linted(tmp_path, files) if problem.code != "BF072"]
    assert (problem.code, problem.severity, problem.host) == ("BF071", "error", DB)
    assert problem.message.startswith("kickstart: ") and words in problem.message
    assert problem.hint == f"'bootforge render {DB} kickstart' prints it"
    assert problem.origin.file == "hosts/den.yaml" and problem.line().isprintable()


def test_a_block_that_is_right_is_no_problem(tmp_path: Path) -> None:
    files = {"templates/kickstart.cfg.j2": EXTENDS + "{% block security %}\nselinux --permissive\n{% endblock %}\n"}
    generation = generation_with(tmp_path, files)
    assert [*lint(generation, [DB])] == []
    text = generation.artifact(DB, "kickstart").text
    assert "selinux --permissive" in text and "selinux --enforcing" not in text and "%packages" in text


@pytest.mark.parametrize("line", ["if true; then", "echo 'open", "case x in", "f() {", "echo $(", "done"])
def test_a_post_script_that_sh_cannot_read(tmp_path: Path, line: str) -> None:
    post = "{% block post %}\n%post --interpreter=/bin/sh\n" + line + "\n%end\n{% endblock %}\n"
    files = {"templates/kickstart.cfg.j2": EXTENDS + post}
    (problem,) = linted(tmp_path, files)
    assert problem.code == "BF071" and problem.message.startswith("kickstart: sh: ")


def test_a_library_that_sh_cannot_read(tmp_path: Path) -> None:
    """A site may override a library of the bootstrap; one that does not parse would run nothing at all."""
    put = (shipped("templates") / "bootstrap/lib/put.sh").read_text()
    (problem,) = linted(tmp_path, {"templates/bootstrap/lib/put.sh": put + "\nbf_more() {\n"})
    assert problem.code == "BF071" and problem.message.startswith("bootstrap: sh: ")
    assert problem.hint == f"'bootforge render {DB} bootstrap' prints it"
    assert linted(tmp_path / "right", {"templates/bootstrap/lib/put.sh": put + "\nbf_more() {\n:\n}\n"}) == []


def test_a_value_that_a_template_does_not_get(tmp_path: Path) -> None:
    files = {"templates/kickstart.cfg.j2": EXTENDS + "{% block security %}\nselinux {{ mode | ks }}\n{% endblock %}\n"}
    problems = linted(tmp_path, files, (DB, WEB))
    assert [(problem.code, problem.host) for problem in problems] == [("BF070", WEB), ("BF070", DB)]
    assert "'mode' is undefined" in problems[0].message


def test_only_the_hosts_that_are_asked_for(tmp_path: Path) -> None:
    files = {"templates/kickstart.cfg.j2": EXTENDS + "{% block security %}\nselinx\n{% endblock %}\n"}
    assert {problem.host for problem in linted(tmp_path, files, (APP, WEB))} == {APP, WEB}
    assert linted(tmp_path / "none", files, ()) == []


@pytest.mark.parametrize(
    "changes,nobody",
    [
        ((), False),
        ((("  root_password: {secret: root_hash}\n", ""),), False),
        ((("  authorized_keys: {root: [keys/ops.pub]}\n", ""),), False),
        ((("  root_password: {secret: root_hash}\n  authorized_keys: {root: [keys/ops.pub]}\n", ""),), True),
    ],
)
def test_a_host_that_nobody_could_log_in_to_is_a_warning(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], nobody: bool
) -> None:
    problems = linted(tmp_path, {"site.yaml": base("site.yaml", *changes)})
    assert [(problem.code, problem.severity) for problem in problems] == [("BF060", "warning")] * nobody


def test_a_complaint_is_one_line(tmp_path: Path) -> None:
    """What parsers print over several lines goes into one problem of one line."""
    assert "\n" not in kickstart_complaint("%packages\n", "RHEL9") != ""
    assert "\n" not in script_complaint("if\n") != ""
    assert script_complaint("true\n") == ""


def test_a_secret_is_not_needed_to_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check runs where no secret is: in CI, on a laptop."""
    monkeypatch.delenv("BOOTFORGE_ROOT_HASH", raising=False)
    files = {"site.yaml": base("site.yaml", ("{env: BOOTFORGE_ROOT_HASH}", "{command: [/nonexistent]}"))}
    assert linted(tmp_path, files) == []


def test_a_shell_library_of_a_site_cannot_end_its_raw_text(tmp_path: Path) -> None:
    library = "bf_put() { :; }\n{% endraw %}{% set x = host %}{% raw %}\n"
    with pytest.raises(SiteError) as caught:
        generation_with(tmp_path, {"templates/bootstrap/lib/put.sh": library})
    assert [problem.code for problem in caught.value.problems] == ["BF007"]
