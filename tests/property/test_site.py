"""What holds for every site: order means nothing, every line is accountable, no text breaks the reader or a grammar."""

from __future__ import annotations

import random
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bootforge import generation
from bootforge.errors import Problem, RenderError, SiteError, UsageError
from bootforge.generation import Generation, build_generation
from bootforge.model import Assertion, Origin, dotted
from bootforge.model import Path as SpecPath
from bootforge.render.engine import Engine
from bootforge.render.slots import FILTERS, QUOTERS
from bootforge.resolve import ResolvedHost, Resolver
from bootforge.resources import shipped
from bootforge.rules import ExpressionError, compile_expression
from bootforge.site import files as site_files
from bootforge.site.arrays import ARRAY
from bootforge.site.hosts import LOCK
from bootforge.site.kinds import Keyed, Kind, Scalar, SetOf, Struct, kind_at, kind_of_model
from bootforge.site.load import HOST, load_site, read_site
from bootforge.site.ranges import names, values
from bootforge.site.schema import ProfileHead, SiteFile
from bootforge.site.tree import NO_QUOTES, Map, Node, Seq, Text, parse_yaml
from bootforge.words import KsCommand, KsOption
from tests.sites import BASE, SAN
from tests.support import SMALL, write_site

Data = Any
"""A YAML file as it was written: dicts with suffixed keys, lists and texts."""


class Dumper(yaml.SafeDumper):
    """Writes every text plainly if it can: the reader knows no types either."""

    yaml_implicit_resolvers: dict[str, Any] = {}


WHOLE = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: a whole site shrinks for minutes, and what is wrong with it is told by the assertion."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDK8mGnano6PWNSuVWs7npokg9yYdMvtFHJ0+3tH4unx"


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    """Hundreds of sites outside any checkout and without templates of their own: asking git, and compiling the
    shipped templates, would be most of the time."""
    engine = Engine({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site_files, "clean_commit", lambda root: "")
        patch.setattr(generation, "Engine", lambda files: engine)
        yield


@contextmanager
def directory() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="bf-property-"))
    try:
        yield root
    finally:
        shutil.rmtree(root)


def read(root: Path) -> dict[str, Data]:
    """Every YAML file of a site as data, and the shipped profile and layout that it uses with it, so that no line is
    out of reach."""
    parts = (BASE, SAN) if root == SAN else (root,)
    files = {path.relative_to(part).as_posix(): path.read_text() for part in parts for path in part.rglob("*.yaml")}
    words = set(re.findall(r"[a-z0-9-]+", "".join(files.values())))
    for kind, place in (("os", "profiles"), ("layouts", "layouts")):
        for path in (shipped("profiles") / kind).glob("*.yaml"):
            if path.stem in words:
                files.setdefault(f"{place}/{path.name}", path.read_text())
    return {name: yaml.load(text, yaml.BaseLoader) for name, text in files.items()}


def write(root: Path, site: Mapping[str, Data], flow: bool | None = False) -> Path:
    texts = {
        name: yaml.dump(data, Dumper=Dumper, sort_keys=False, default_flow_style=flow, allow_unicode=True)
        for name, data in site.items()
    }
    return write_site(root, {**texts, "keys/ops.pub": f"{KEY} a\n", "keys/two.pub": f"{KEY} b\n"})


# Sites

PACKAGES = ["dstat", "gdb", "strace", "@core", "vim-minimal"]


def merging(values: st.SearchStrategy[Data], removable: st.SearchStrategy[Data]) -> st.SearchStrategy[dict[str, Data]]:
    """A key in one of its forms: as suffix -> value."""
    return st.one_of(
        st.fixed_dictionaries({"": values}),
        st.fixed_dictionaries({"!": values}),
        st.fixed_dictionaries({"-": removable}),
        st.fixed_dictionaries({"": values, "-": removable}),
    )


def suffixed(**keys: st.SearchStrategy[dict[str, Data]]) -> st.SearchStrategy[dict[str, Data]]:
    """Some of the keys, each in one of its forms: ``{'packages': ..., 'packages-': ...}``."""
    return st.fixed_dictionaries({}, optional=dict(keys)).map(
        lambda said: {key + suffix: value for key, forms in said.items() for suffix, value in forms.items()}
    )


def some(*words: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), unique=True)


nothing = st.just("~")
sizes = st.sampled_from(["1GiB", "2GiB"])
data_fs = st.fixed_dictionaries({"mount": st.just("/data"), "size": sizes})
root_fs = st.fixed_dictionaries({"mount": st.just("/"), "size": sizes})
more_fs = st.fixed_dictionaries({}, optional={"data": data_fs})
ONE = {
    "timezone": merging(st.sampled_from(["Etc/UTC", "Europe/Paris", "Europe/Rome"]), nothing),
    "ntp": merging(some("10.2.0.5", "10.2.0.6"), nothing),
    "kernel_args": merging(some("quiet", "console=ttyS0"), nothing),
    "install": st.fixed_dictionaries({"": suffixed(args=st.fixed_dictionaries({"": some("a={site}", "b")}))}),
    "filesystems": st.one_of(
        st.fixed_dictionaries({"": more_fs}),
        st.fixed_dictionaries({"-": some("data", "mysql")}),
        st.fixed_dictionaries({"!": st.fixed_dictionaries({"root": root_fs}, optional={"data": data_fs})}),
    ),
}
"""What one layer of a group may say: two could contradict each other."""
ANY = {
    "serial": st.fixed_dictionaries({"-": nothing}),
    "packages": merging(some(*PACKAGES), some(*PACKAGES)),
    "authorized_keys": merging(st.fixed_dictionaries({"root": some("keys/ops.pub", "keys/two.pub")}), some("root")),
}
"""What any number of equal layers may say."""
SAID, ADDED = suffixed(**ONE, **ANY), suffixed(**ANY)
WHENS = ["role_db", "env_prod", "!role_app", "virt_xen | role_web", "el9", "site_den & env_qa", "class_a"]
WHENS += ["net_den_lan", "domain_qa_den_example_com"]
RANGE = "web[09-11].prod.den.example.com"
IN_RANGE = {
    "serial": "S[1-3]",
    "aliases": ["www[8-10].example.com"],
    "labels": {"rack": "A12", "slot": "[01-03]"},
    "kernel_args": ["quiet", "n=[1-3]"],
    "nics": {"lan": {"mac": "52:54:00:00:[00:fe-01:00]", "address": "[10.2.0.255-10.2.1.1]"}},
}
"""What the hosts of the range may say besides; the nics always."""


def identity_of(number: int, keys: set[str]) -> Data:
    """Some of what lock.yaml may say about a host: each host has values of its own."""
    said = {
        "id": f"{number:016x}",
        "initiator": f"iqn.2026-11.com.example:{number}",
        "nics": {"lan": {"mac": f"00:16:3e:00:00:{number:02x}"}},
    }
    return {key: said[key] for key in sorted(keys)}


def beside(there: Data, said: Data) -> Data:
    """What is there with what else is said: 'key' and 'key!' in one map would be two of one."""
    return {**{key: value for key, value in said.items() if key.rstrip("!") not in there}, **there}


def hosts_of(site: Mapping[str, Data]) -> list[str]:
    """Every host of the site, a range as its hosts."""
    return [name for file, data in site.items() if file.startswith("hosts/") for key in data for name in names(key)]


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Data]:
    """The base with something more said in every layer. Now and then it is at odds with itself."""
    site = read(BASE)
    site["site.yaml"]["defaults"] = beside(site["site.yaml"]["defaults"], draw(SAID))
    site["layouts/lvm.yaml"] = beside(site["layouts/lvm.yaml"], draw(SAID))
    site["profiles/rocky9.yaml"] = beside(site["profiles/rocky9.yaml"], draw(SAID))
    alone = draw(st.sampled_from(["web", "db", "app"]))
    for role in ("web", "db", "app"):
        site[f"roles/{role}.yaml"] = beside(site[f"roles/{role}.yaml"], draw(SAID if role == alone else ADDED))
    for number in range(draw(st.integers(0, 3))):
        said = draw(SAID if number == 0 else ADDED)
        rule = {"name": f"more{number}", "when": draw(st.sampled_from(WHENS)), **said}
        site["rules.yaml"]["rules"].insert(draw(st.integers(0, number)), rule)
    if draw(st.booleans()) and not any("timezone!" in rule for rule in site["rules.yaml"]["rules"]):
        rivals = [{"name": "plain", "when": "el9", "timezone": "Europe/Rome"}]
        rivals.insert(draw(st.integers(0, 1)), {"name": "forced", "when": "site_den", "timezone!": "Etc/GMT+1"})
        site["rules.yaml"]["rules"] += rivals
    hosts = site["hosts/den.yaml"]
    more = draw(st.lists(st.sampled_from(sorted(IN_RANGE)), unique=True))
    hosts[RANGE] = {key: IN_RANGE[key] for key in ["nics", *more]}
    everybody = [*hosts_of(site), "gone.example.com"]
    keys = st.sets(st.sampled_from(["id", "initiator", "nics"]))
    chosen = draw(st.dictionaries(st.sampled_from(everybody), keys))
    site["lock.yaml"] = {name: identity_of(everybody.index(name), keys) for name, keys in chosen.items()}
    if draw(st.booleans()):
        del hosts["app01.qa.den.example.com"]["nics"]["lan"]["mac"]
        site["lock.yaml"]["app01.qa.den.example.com"] = identity_of(99, {"id", "nics"})
    for name in hosts:
        hosts[name] = beside(hosts[name], draw(SAID))
        if draw(st.booleans()):
            hosts[name]["classes"] = draw(some("class-a", "class-b"))
    hosts["app01.qa.den.example.com"]["roles"] = draw(some("web", "db"))
    site["rules.yaml"]["assign"].append({"when": "site_den", "classes": ["class-a"]})
    return site


def shuffled(data: Data, kind: Kind | None, by: random.Random) -> Data:
    """The same said in another order: keys of maps, elements of sets; a list stays as it is."""
    if isinstance(data, dict):
        inner = {}
        for key, value in data.items():
            fields = kind.fields if isinstance(kind, Struct) else {}
            bare = key.rstrip("!-") if key.rstrip("!-") in fields else key
            of = fields.get(bare) if fields else kind.item if isinstance(kind, Keyed) else None
            if key.endswith("-") and isinstance(value, list):
                of = SetOf()
            inner[key] = shuffled(value, of, by)
        return dict(by.sample([*inner.items()], len(inner)))
    if isinstance(data, list) and isinstance(kind, SetOf):
        return by.sample(data, len(data))
    return data


def reordered(site: Mapping[str, Data], by: random.Random) -> dict[str, Data]:
    """The whole site in another order: also hosts over other files, and rules among each other."""
    kinds = {
        "site.yaml": kind_of_model(SiteFile),
        "arrays.yaml": Keyed(ARRAY),
        "lock.yaml": Keyed(LOCK),
        "profiles": Struct({**HOST.fields, **kind_of_model(ProfileHead).fields}),
    }
    result: dict[str, Data] = {}
    for name, data in site.items():
        top = name.split("/")[0]
        if top == "rules.yaml":
            lists = {key: [shuffled(rule, HOST, by) for rule in rules] for key, rules in data.items()}
            result[name] = {key: by.sample(rules, len(rules)) for key, rules in by.sample([*lists.items()], len(lists))}
        elif top == "hosts":
            for host, said in by.sample([*data.items()], len(data)):
                result.setdefault(f"hosts/{by.choice('abc')}.yaml", {})[host] = shuffled(said, HOST, by)
        else:
            result[name] = shuffled(data, kinds.get(top, HOST), by)
    return dict(by.sample([*result.items()], len(result)))


def outcome(root: Path) -> object:
    """Every byte that the site makes; or what is wrong with it, without the places, which moved."""
    try:
        generation = build_generation(root)
    except SiteError as error:
        return sorted({(problem.code, problem.host) for problem in error.problems})
    return everything(generation)


def everything(generation: Generation) -> dict[str, str]:
    texts = {f"{name}/{one.name}": one.text for name in generation.plans for one in generation.artifacts(name).values()}
    return {**texts, "dnsmasq": generation.dnsmasq("full")}


@settings(max_examples=20, deadline=None, phases=WHOLE)
@given(site=sites(), by=st.randoms(use_true_random=False))
def test_order_means_nothing(site: dict[str, Data], by: random.Random) -> None:
    """Files of hosts, hosts, keys, elements of sets and rules in any order: not one byte differs."""
    with directory() as root:
        first = outcome(write(root / "one", site))
        second = outcome(write(root / "two", reordered(site, by), flow=by.choice([True, False, None])))
        assert first == second


def test_the_sites_of_these_tests_are_worth_it() -> None:
    """Most of them build: a generator of broken sites would prove nothing."""
    built = []

    @settings(max_examples=20, deadline=None, database=None, derandomize=True)
    @given(site=sites())
    def build(site: dict[str, Data]) -> None:
        with directory() as root:
            built.append(isinstance(outcome(write(root, site)), dict))

    build()
    assert sum(built) > len(built) // 2


@pytest.mark.parametrize("root", [BASE, SMALL, SAN], ids=["base", "example", "san"])
@pytest.mark.parametrize("seed", range(5))
def test_order_means_nothing_to_real_sites(root: Path, seed: int) -> None:
    with directory() as there:
        data = read(root)
        first = outcome(write(there / "one", data))
        assert isinstance(first, dict)
        assert outcome(write(there / "two", reordered(data, random.Random(seed)), flow=None)) == first


# Every line is accountable


def nodes(text: str) -> Iterator[tuple[yaml.Node, list[Any], Any]]:
    """Every value of a file, with the list that holds it and what to remove from there."""

    def walk(node: yaml.Node) -> Iterator[tuple[yaml.Node, list[Any], Any]]:
        if isinstance(node, yaml.MappingNode):
            for pair in node.value:
                yield pair[1], node.value, pair
                yield from walk(pair[1])
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield item, node.value, item
                yield from walk(item)

    root = yaml.compose(text, yaml.BaseLoader)
    assert root is not None
    yield root, [], None
    yield from walk(root)


def at(text: str, origin: Origin) -> tuple[yaml.Node, str]:
    """The value at a place, and the text without it."""
    root, *_ = found = [*nodes(text)]
    for node, holder, entry in found:
        mark = node.start_mark
        inner = isinstance(node, yaml.MappingNode) and node.value
        if (mark.line + 1, mark.column + 1) == (origin.line, origin.col) and not inner:
            holder.remove(entry)
            return node, yaml.serialize(root[0], Dumper=Dumper)
    raise AssertionError(f"no value begins at {origin}")


def resolve(root: Path, name: str) -> ResolvedHost | None:
    site, problems = read_site(root)
    try:
        return None if problems or name not in site.hosts else Resolver(site).resolve(name)
    except SiteError:
        return None


def leaves(host: ResolvedHost) -> list[tuple[SpecPath, Assertion]]:
    return [(path, host.trails[path][-1]) for path in host.merged.values]


def nth(text: str, host: ResolvedHost, path: SpecPath, said: Assertion) -> str:
    """What a text of the host's entry says about it: in the entry of a range, the value that is its turn."""
    entry = names(said.layer.removeprefix("host ")) if said.layer.startswith("host ") else ()
    if len(entry) < 2 or not text:
        return text
    kind = kind_at(HOST, path)
    found = values(text, len(entry), isinstance(kind, Scalar) and kind.hexadecimal)
    return found[entry.index(host.name.text)] if found else text


def check_leaf(root: Path, host: ResolvedHost, path: SpecPath, winner: Assertion) -> None:
    """The line that ``explain`` names says the value; without it the value or the winner is another."""
    where = f"{host.name}: {dotted(path)} from {winner}"
    held = host.merged.values[path]
    assert (held.origin, held.layer) == (winner.origin, winner.layer), where
    assert winner.op != "remove"
    if winner.layer == "name":
        assert winner.origin == host.origin and winner.value == host.facts["role"]
        return
    file = root / winner.origin.file
    text = file.read_text()
    node, without = at(text, winner.origin)
    if isinstance(winner.value, tuple):
        assert [nth(item.value, host, path, winner) for item in node.value] == list(winner.value)
        marks = [(item.start_mark.line + 1, item.start_mark.column + 1) for item in node.value]
        assert [(place.line, place.col) for place in winner.items] == marks
    else:
        assert (nth(node.value, host, path, winner) or None) == winner.value, where
    if not any("{" in one for one in (winner.value or "")):
        assert held.value == winner.value
    file.write_text(without)
    try:
        after = resolve(root, host.name.text)
    finally:
        file.write_text(text)
    if after is not None and path in after.merged.values:
        now = after.trails[path][-1]
        assert (now.value, now.layer) != (winner.value, winner.layer), where


@pytest.mark.parametrize("source", [BASE, SMALL], ids=["base", "example"])
def test_every_line_of_a_real_site_is_accountable(source: Path) -> None:
    """Every leaf of every host, one by one."""
    with directory() as root:
        write(root, read(source))
        count = 0
        for name in load_site(root).hosts:
            host = Resolver(load_site(root)).resolve(name)
            for path, winner in leaves(host):
                check_leaf(root, host, path, winner)
                count += 1
        assert count > 60


@settings(max_examples=20, deadline=None, phases=WHOLE)
@given(site=sites(), data=st.data())
def test_every_line_is_accountable(site: dict[str, Data], data: st.DataObject) -> None:
    with directory() as root:
        write(root, site)
        name = data.draw(st.sampled_from(hosts_of(site)))
        host = resolve(root, name)
        if host is not None:
            for path, winner in data.draw(st.lists(st.sampled_from(leaves(host)), min_size=1, max_size=4)):
                check_leaf(root, host, path, winner)


@settings(max_examples=15, deadline=None, phases=WHOLE)
@given(site=sites())
def test_a_trail_tells_what_happened(site: dict[str, Data]) -> None:
    """What holds is the last word of its trail; what does not hold was taken away by it."""
    with directory() as root:
        write(root, site)
        for name in hosts_of(site):
            host = resolve(root, name)
            for path, trail in host.trails.items() if host else ():
                assert host is not None
                held, last = host.merged.values.get(path), trail[-1]
                took_away = last.op == "remove" or (last.op == "force" and last.value is None)
                assert (held is None) == took_away, dotted(path)
                assert held is None or (held.origin, held.op) == (last.origin, last.op), dotted(path)


# Places


def texts(node: Node | None) -> Iterator[Text]:
    match node:
        case Map(entries):
            for entry in entries:
                yield from texts(entry.node)
        case Seq(items):
            for item in items:
                yield from texts(item)
        case Text():
            yield node


quotes = "".join(NO_QUOTES)
"""What no text may begin with."""
printable = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"], exclude_characters=quotes), max_size=12
)
trees = st.recursive(
    printable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(printable.filter(str.isidentifier), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(tree=st.dictionaries(st.sampled_from("abcde"), trees, min_size=1), flow=st.sampled_from([True, False, None]))
def test_every_text_is_where_it_is_said_to_be(tree: Data, flow: bool | None) -> None:
    """Line and column of each scalar lead to its text or its quote; and to its inside where that is known."""
    source = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True, width=10_000)
    lines = source.split("\n")
    problems: list[Problem] = []
    found = [*texts(parse_yaml(source, "f", problems))]
    assert problems == []
    assert sorted(text.value for text in found) == sorted(flatten(tree))
    for text in found:
        rest = lines[text.origin.line - 1][text.origin.col - 1 :]
        assert rest[:1] in ("'", '"', "|", ">") or rest.startswith(text.value)
        if text.lead >= 0:
            place = text.at(len(text.value))
            assert lines[place.line - 1][: place.col - 1].endswith(text.value)


def flatten(tree: Data) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    return [text for inner in (tree.values() if isinstance(tree, dict) else tree) for text in flatten(inner)]


# Grammars

anything = st.text(max_size=60)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@settings(max_examples=200, deadline=None)
@given(text=anything, grammar=st.sampled_from(["ks", "sh"]))
def test_a_quoted_text_is_one_word_and_the_same_text(text: str, grammar: str) -> None:
    """pykickstart splits as shlex does; a control character is refused, never passed or dropped."""
    if CONTROL.search(text):
        with pytest.raises(RenderError):
            FILTERS[grammar](text)
        return
    quoted = FILTERS[grammar](text)
    assert shlex.split(quoted) == [text]
    assert shlex.split(f"before {quoted} after", comments=True) == ["before", text, "after"]


@settings(max_examples=100, deadline=None)
@given(
    name=st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    values=st.lists(st.tuples(st.sampled_from(["--a", "--b-c", ""]), anything.filter(lambda t: not CONTROL.search(t)))),
)
def test_a_kickstart_command_keeps_its_words(name: str, values: list[tuple[str, str]]) -> None:
    line = FILTERS["ks"](KsCommand(name, tuple(KsOption(*value) for value in values)))
    assert shlex.split(line) == [name, *(f"{option}={text}" if option else text for option, text in values)]


@settings(max_examples=25, deadline=None)
@given(words=st.lists(anything.filter(lambda text: not CONTROL.search(text)), min_size=1, max_size=20))
def test_a_shell_reads_what_was_quoted(words: list[str]) -> None:
    script = "printf '%s\\0' " + " ".join(FILTERS["sh"](word) for word in words)
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == words


@settings(max_examples=200, deadline=None)
@given(text=anything, grammar=st.sampled_from(sorted(QUOTERS)))
def test_no_grammar_breaks_a_line(text: str, grammar: str) -> None:
    """Whatever a value is: it is refused, or it stays in its line."""
    try:
        quoted = QUOTERS[grammar](text)
    except RenderError:
        return
    assert len(quoted.splitlines()) <= 1 and not CONTROL.search(quoted)
    if grammar in ("ipxe", "dnsmasq"):
        assert quoted == text and not re.search(r"[\s$'\"#;|`\\]", quoted)


# No text breaks the reader

WORDS = [
    *HOST.fields,
    *kind_of_model(SiteFile).fields,
    *("assign", "rules", "when", "name", "why", "release", "arch", "subnet", "mac", "network", "address", "boot"),
    *("path", "mount", "size", "fstype", "secret", "env", "command", "web01.prod.den.example.com", "den-lan", "lan"),
    *("role_db & !el9", "10.2.0.7", "52:54:00:12:34:56", "8GiB", "true", "{site}", "{role}{n:int}.{env}.{site}.x", "~"),
    *("web[07-09].prod.den.example.com", "10.2.0.[7-9]", "[10.2.0.7-10.2.0.9]", "52:54:00:00:00:[07-09]", "[9-7]"),
]
yamlish = st.recursive(
    st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.sampled_from(["packages!", "nics-", "<<", ""]), inner, max_size=5)
    ),
    max_leaves=25,
)
JUNK = [
    "\t",
    "\n",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "&a ",
    "*a",
    "!x ",
    "#",
    "|",
    ">",
    "%",
    "@",
    "\r",
    "\ufeff",
    "---\n",
    "\x00",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """YAML of words that mean something, damaged in a few places."""
    text = yaml.dump(draw(yamlish), Dumper=Dumper, default_flow_style=draw(st.booleans()), allow_unicode=True)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(JUNK)) + text[place + draw(st.integers(0, 2)) :]
    return text.encode()


FILES = [
    "arrays.yaml",
    "site.yaml",
    "rules.yaml",
    "hosts/den.yaml",
    "roles/db.yaml",
    "profiles/rocky9.yaml",
    "layouts/lvm.yaml",
    "keys/ops.pub",
    "lock.yaml",
]


@settings(max_examples=100, deadline=None)
@given(content=damaged() | st.binary(max_size=60) | st.text(max_size=60).map(str.encode), file=st.sampled_from(FILES))
def test_no_text_breaks_the_reader(content: bytes, file: str) -> None:
    """Whatever a file says, a site is read or refused with problems that point into it and can be printed."""
    with directory() as root:
        shutil.copytree(BASE, root, dirs_exist_ok=True)
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_bytes(content)
        try:
            everything(build_generation(root))
        except SiteError as error:
            assert error.problems
            for problem in error.problems:
                check_problem(root, problem)
        except (UsageError, RenderError) as error:
            assert str(error).isprintable()


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str]:
    """A file of the base after a hasty edit: lines lost, doubled, moved, words replaced, characters dropped in."""
    file = draw(st.sampled_from(FILES[1:5]))
    lines = (BASE / file).read_text().splitlines()
    for _ in range(draw(st.integers(1, 3))):
        place, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        match draw(st.sampled_from(["drop", "double", "move", "indent", "word", "junk"])):
            case "drop":
                lines[place] = ""
            case "double":
                lines.insert(other, line)
            case "move":
                lines[place], lines[other] = lines[other], line
            case "indent":
                lines[place] = line[2:] if line.startswith("  ") and draw(st.booleans()) else f"  {line}"
            case "word":
                words = re.findall(r"[\w./:-]+", line)
                if words:
                    lines[place] = line.replace(draw(st.sampled_from(words)), draw(st.sampled_from(WORDS)), 1)
            case "junk":
                at = draw(st.integers(0, len(line)))
                lines[place] = line[:at] + draw(st.sampled_from(JUNK)) + line[at:]
    return file, "\n".join(lines) + "\n"


@settings(max_examples=100, deadline=None)
@given(slip=slips())
def test_no_slip_of_the_pen_breaks_the_reader(slip: tuple[str, str]) -> None:
    """And whatever is said about it has a remedy."""
    file, text = slip
    with directory() as root:
        shutil.copytree(BASE, root, dirs_exist_ok=True)
        (root / file).write_text(text, newline="")
        try:
            everything(build_generation(root))
        except SiteError as error:
            for problem in error.problems:
                check_problem(root, problem)
                assert problem.hint, problem.line()


def check_problem(root: Path, problem: Problem) -> None:
    assert problem.line().isprintable(), problem
    origin = problem.origin
    if origin.file.startswith("shipped:") or (origin.line, origin.col) == (1, 1):
        return
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", (root / origin.file).read_bytes().decode("utf-8", "replace"))
    assert 1 <= origin.line <= len(lines), problem
    assert 1 <= origin.col <= len(lines[origin.line - 1]) + 1, problem


@settings(max_examples=40, deadline=None, phases=WHOLE)
@given(site=yamlish, hosts=yamlish, role=yamlish, rules=yamlish)
def test_no_data_breaks_the_reader(site: Data, hosts: Data, role: Data, rules: Data) -> None:
    """Well-formed YAML of words that exist in places where they make no sense, in every file at once."""
    with directory() as root:
        shutil.copytree(BASE, root, dirs_exist_ok=True)
        merged = {"schema": "1", **site} if isinstance(site, dict) else site
        files = {"site.yaml": merged, "hosts/den.yaml": hosts, "roles/db.yaml": role, "rules.yaml": {"rules": rules}}
        files["lock.yaml"] = hosts
        for name, data in files.items():
            (root / name).write_text(yaml.dump(data, Dumper=Dumper, allow_unicode=True))
        try:
            everything(build_generation(root))
        except SiteError as error:
            for problem in error.problems:
                check_problem(root, problem)
        except RenderError as error:
            assert str(error).isprintable()


# Class expressions

Formula = Any
atoms = st.sampled_from(["a", "b", "c", "role_db", "el9"])
formulas = st.recursive(
    atoms, lambda inner: st.tuples(st.just("!"), inner) | st.tuples(st.sampled_from("&|"), inner, inner), max_leaves=10
)


def written(formula: Formula) -> str:
    match formula:
        case str():
            return formula
        case ("!", inner):
            return f"!({written(inner)})"
        case (operator, left, right):
            return f"({written(left)}) {operator} ({written(right)})"
    raise AssertionError(formula)


def meant(formula: Formula, classes: frozenset[str]) -> bool:
    match formula:
        case str():
            return formula in classes
        case ("!", inner):
            return not meant(inner, classes)
        case ("&", left, right):
            return meant(left, classes) and meant(right, classes)
        case (_, left, right):
            return meant(left, classes) or meant(right, classes)
    raise AssertionError(formula)


CLASSES = st.frozensets(atoms)


@settings(max_examples=200, deadline=None)
@given(formula=formulas, classes=CLASSES)
def test_an_expression_means_what_it_says(formula: Formula, classes: frozenset[str]) -> None:
    expression = compile_expression(written(formula))
    assert expression(classes) == meant(formula, classes)
    for word, place in expression.classes:
        assert written(formula)[place:].startswith(word)


@settings(max_examples=100, deadline=None)
@given(one=formulas, two=formulas, classes=CLASSES)
def test_the_laws_of_de_morgan_and_the_rest(one: Formula, two: Formula, classes: frozenset[str]) -> None:
    def holds(text: str) -> bool:
        return compile_expression(text)(classes)

    a, b = f"({written(one)})", f"({written(two)})"
    assert holds(f"!({a} & {b})") == holds(f"!{a} | !{b}")
    assert holds(f"!({a} | {b})") == holds(f"!{a} & !{b}")
    assert holds(f"!!{a}") == holds(a) == holds(f"{a} & {a}") == holds(f"{a} | {a} & {b}")
    assert holds(f"{a} & {b}") == holds(f"{b} & {a}")
    assert holds(f"{a} | {b}") == holds(f"{b}|{a}")
    assert not holds(f"{a} & !{a}") and holds(f"{a} | !{a}")


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(st.tuples(st.sampled_from("&|"), st.sampled_from(["a", "b", "!a", "!b"])), min_size=1, max_size=9)
)
def test_and_binds_stronger_than_or(words: list[tuple[str, str]]) -> None:
    """Against Python's own ``and`` and ``or``, without parentheses."""
    text = "a" + "".join(f" {operator} {word}" for operator, word in words)
    groups = [group.split(" & ") for group in text.split(" | ")]
    for classes in (frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")):
        truth = [[(word[-1] in classes) != word.startswith("!") for word in group] for group in groups]
        assert compile_expression(text)(classes) == reduce(lambda x, y: x or y, [all(group) for group in truth])


@settings(max_examples=400, deadline=None)
@given(text=st.text(st.sampled_from("ab_9&|!() \n\tA-=#\u00e4\x00"), max_size=20) | st.text(max_size=20))
def test_no_text_breaks_the_expressions(text: str) -> None:
    try:
        assert isinstance(compile_expression(text)(frozenset("a")), bool)
    except ExpressionError as error:
        assert 0 <= error.at <= len(text)
        assert error.hint and str(error).isprintable()
