"""The JSON Schema of the site's files: an editor that reads it agrees with ``check`` about what stands in one file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bootforge.resources import shipped
from bootforge.site import schema
from bootforge.site.jsonschema import KINDS, json_schema
from bootforge.site.kinds import kind_of_model
from tests.bench.fleet_site import write_fleet
from tests.cases.test_cases import CASES, build, read_case
from tests.sites import BASE
from tests.support import EXAMPLE, verb


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, which is what editors read: no octals, no sexagesimals, no 'yes'."""


Core.yaml_implicit_resolvers = {}
for tag, form, first in (
    ("null", r"~|null||Null|NULL", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{form})$"), first)  # type: ignore[no-untyped-call]
Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))

VALIDATORS = {kind: Draft202012Validator(json_schema(kind)) for kind in (*KINDS, None)}


def kind_of(file: str) -> str | None:
    top = file.partition("/")[0].removesuffix(".yaml")
    named = {"roles": "role", "profiles": "profile", "layouts": "layout", "hardware": "hardware"}
    tops = {name: name for name in ("site", "rules", "repos", "arrays", "lock")}
    return {**named, **tops, "hosts": "host", "os": "profile"}.get(top)


def complaints(site: Path) -> Iterator[str]:
    for path in sorted(site.rglob("*.yaml")):
        name = path.relative_to(site).as_posix()
        if kind := kind_of(name):
            value = yaml.load(path.read_text(), Core)  # noqa: S506 - a safe loader
            yield from (f"{name}: {error.json_path}: {error.message}" for error in VALIDATORS[kind].iter_errors(value))


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_it_is_a_schema_of_the_draft_that_it_names(kind: str | None) -> None:
    document = json_schema(kind)
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for ref in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        at: Any = document
        for step in ref.split("/"):
            at = at[step]


@pytest.mark.parametrize(
    "site", [EXAMPLE, BASE, shipped("templates") / "init", shipped("profiles")], ids=lambda p: p.name
)
def test_what_check_accepts_an_editor_accepts(site: Path) -> None:
    assert [*complaints(site)] == []
    assert [path for path in site.rglob("*.yaml") if kind_of(path.relative_to(site).as_posix())]


def test_a_large_site_is_accepted(tmp_path: Path) -> None:
    assert [*complaints(write_fleet(tmp_path, 60))] == []


SEEDED = [path for path in CASES if path.parent.name in ("keys", "values")]


def seen(path: Path, root: Path) -> bool:
    """Whether the schema finds the fault of a case, or it is no YAML at all."""
    try:
        return bool([*complaints(build(read_case(path), root / path.stem / "site"))])
    except yaml.YAMLError:
        return True


def test_most_seeded_faults_are_seen_in_an_editor(tmp_path: Path) -> None:
    faults = [path for path in SEEDED if read_case(path).status]
    missed = {f"{path.parent.name}/{path.stem}" for path in faults if not seen(path, tmp_path)}
    assert len(faults) >= 40 and len(missed) <= len(faults) // 4, sorted(missed)


@pytest.mark.parametrize(
    "text,fine",
    [
        ("timezone!: Etc/UTC", True),
        ("timezone-:", True),
        ("timezone-: Etc/UTC", False),
        ("timezone?: Etc/UTC", False),
        ("packages!: [a]", True),
        ("packages-: [a]", True),
        ("packages-:", False),
        ("packages: a", False),
        ("nics!: {lan: {network: lan}}", True),
        ("nics: {lan!: {network!: lan}}", True),
        ("nics: {lan: {network-: }}", True),
        ("nics: {lan-: }", True),
        ("nics-: [lan]", True),
        ("nics: {lan: {networks: lan}}", False),
        ("nics: {LAN: {network: lan}}", False),
        ("nics: {lan: {mac: 52:54:00:12:34:56}}", True),
        ("nics: {lan: {boot: true}}", True),
        ("nics: {lan: {boot: 'true'}}", True),
        ("nics: {lan: {boot: yes}}", False),
        ("vm: {vcpus: 2}", True),
        ("vm: {vcpus: '2'}", True),
        ("vm: {vcpus: two}", False),
        ("vm: {memory: 4GiB}", True),
        ("vm: {memory: 4096}", False),
        ("nics: {lan: {network: '{site}-lan'}}", True),
        ("install: {url: 'http://{site}.example.com/'}", True),
        ("root_password: {secret: root}", True),
        ("root_password: secret", False),
        ("roles: [db]", False),  # a role has no roles
    ],
)
def test_suffixes_and_scalars_of_a_layer(text: str, fine: bool) -> None:
    value = yaml.load(text, Core)  # noqa: S506 - a safe loader
    assert VALIDATORS["role"].is_valid(value) == fine


def test_site_yaml_has_no_suffixes_but_its_defaults_do() -> None:
    site = VALIDATORS["site"]
    assert site.is_valid({"schema": 1, "defaults": {"timezone!": "Etc/UTC"}})
    assert not site.is_valid({"schema!": 1}) and not site.is_valid({}) and not site.is_valid({"schema": 2})
    assert not site.is_valid({"schema": 1, "networks": {"lan": {"gateway": "10.0.0.300"}}})
    assert not site.is_valid({"schema": 1, "networks": {"lan!": {"subnet": "10.0.0.0/8"}}})


def test_every_key_is_there_and_described() -> None:
    """A new key of the schema appears by itself, with its description."""
    document = json_schema()
    properties = document["$defs"]["HostSpec"]["properties"]
    assert set(properties) == set(kind_of_model(schema.HostSpec).fields)
    for key, said in properties.items():
        assert said["description"], key
    for key in ("nics", "packages", "timezone"):
        assert {f"^{key}!$", f"^{key}-$"} <= set(document["$defs"]["HostSpec"]["patternProperties"])


def test_the_verb() -> None:
    assert verb("schema", "role").json == json_schema("role") != verb("schema").json
    assert set(verb("schema").json["$defs"]) >= set(KINDS)
    done = verb("schema", "rols")
    assert done.status == 2 and "did you mean 'role'?" in done.err
