"""Reading a site: the only place where its files are opened. All problems of a site are found in one run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from bootforge.errors import Problem, SiteError, UsageError, did_you_mean, told
from bootforge.model import Origin
from bootforge.naming import Pattern, compile_pattern
from bootforge.releases import RELEASES
from bootforge.resources import shipped_texts
from bootforge.rules import Expression, ExpressionError, compile_expression
from bootforge.site.arrays import ArraySpec, array_problems, read_arrays
from bootforge.site.files import read_files, revision, stray_files
from bootforge.site.hosts import host_problems, read_hosts, read_locks, typed_alone
from bootforge.site.kinds import kind_of_model
from bootforge.site.layer import Layer, Merged, flatten, merge, no_weaker
from bootforge.site.repos import read_repos
from bootforge.site.scalars import parse_name
from bootforge.site.schema import (
    ASSIGNED,
    DECLARED,
    HOST_ONLY,
    EnvironmentSpec,
    HostSpec,
    MacsSpec,
    PolicySpec,
    ProfileHead,
    SecretSpec,
    SiteFile,
)
from bootforge.site.schema_network import NetworkSpec
from bootforge.site.schema_system import RepoSpec
from bootforge.site.settings import network_problems, secret_problems
from bootforge.site.syntax import end_of
from bootforge.site.tree import Bad, Entry, Map, Node, Seq, Text, parse_yaml
from bootforge.site.values import typed

HOST = kind_of_model(HostSpec)
SHARED = tuple(key for key in HOST.fields if key not in HOST_ONLY)
SETTINGS = tuple(key for key in SHARED if key not in (*ASSIGNED, *DECLARED))
_OWN = {
    "id": "'bootforge lock' writes it to lock.yaml; an id of your own stands at the host",
    "facts": "state them at the host whose name fits no pattern",
    **{key: f"write '{key}:' at the host or in 'defaults:', so that 'assign:' may test it" for key in DECLARED},
}
_DECIDED = {
    **{key: f"set {key} under 'assign:' in rules.yaml, in 'defaults:' or at the host" for key in ASSIGNED},
    **_OWN,
}
_RULE_KEYS = ("name", "why", "when")


@dataclass(frozen=True, slots=True)
class Profile:
    """An OS profile: which release, which architecture, and a layer of settings. ``x86_level``: where its packages
    are built for another level than the release's."""

    name: str
    release: str
    arch: str
    x86_level: int | None
    layer: Layer


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule or an assignment: when its expression holds for a host's classes, its layer applies. ``text`` is the
    expression as it was written."""

    name: str
    when: Expression
    text: Text
    layer: Layer


@dataclass(frozen=True, slots=True)
class Site:
    """A whole site, read and typed layer by layer; nothing is decided yet.

    ``repos`` may hold ``{fact}`` in its URLs: which facts there are depends on the host. ``locks`` are the identities
    of lock.yaml. ``ranged``: places of values that hold a range. ``revision`` is the git commit of a clean checkout,
    else a digest of the files. ``files`` holds what hosts may refer to, by path below the site. ``whole`` is false
    when site.yaml could not be read, so that nothing can be said about hosts.
    """

    root: FilePath
    revision: str
    environments: Mapping[str, EnvironmentSpec]
    patterns: tuple[Pattern, ...]
    networks: Mapping[str, NetworkSpec]
    arrays: Mapping[str, ArraySpec]
    secrets: Mapping[str, SecretSpec]
    repos: Mapping[str, RepoSpec]
    macs: MacsSpec
    policy: PolicySpec
    defaults: Layer
    profiles: Mapping[str, Profile]
    layouts: Mapping[str, Layer]
    hardware: Mapping[str, Layer]
    roles: Mapping[str, Layer]
    assigns: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    hosts: Mapping[str, Layer]
    locks: Mapping[str, Layer]
    ranged: Collection[Origin] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    origins: Merged = field(repr=False)
    array_origins: Merged = field(repr=False)
    whole: bool = True

    def sites(self) -> tuple[str, ...]:
        """The sites that networks are at, sorted."""
        return tuple(sorted({network.site for network in self.networks.values() if network.site}))


def load_site(root: FilePath | str) -> Site:
    """The site at a directory. Raises UsageError when there is none, SiteError with every problem in it."""
    site, problems = read_site(root)
    problems += host_problems(site.hosts)
    if problems:
        raise SiteError(problems)
    return site


def read_site(root: FilePath | str, known: str = "") -> tuple[Site, list[Problem]]:
    """The site as far as it can be read, and everything that is wrong with it, for one complete report; but for the
    values of hosts, which :func:`bootforge.site.hosts.host_problems` tells and resolving them finds as well.
    ``known``: the revision, if the directory cannot tell."""
    root = FilePath(root)
    if not (root / "site.yaml").is_file():
        raise UsageError(f"{root} is not a site: it has no site.yaml", f"'bootforge init {root}' writes one")
    loader = _Loader(root, known)
    return loader.load(), loader.problems


class _Loader:
    def __init__(self, root: FilePath, known: str) -> None:
        self.root = root
        self.revision = known
        self.problems: list[Problem] = []
        self.files = read_files(root, self.problems)

    def tree(self, name: str) -> Node | None:
        return self.parse(name, self.files[name]) if name in self.files else None

    def parse(self, name: str, content: bytes) -> Node | None:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            place = end_of(content[: error.start].decode("utf-8"), name)
            self.fault(place, "BF001", f"is not UTF-8 text: byte 0x{content[error.start]:02x}", "save it as UTF-8")
            return Bad(Origin(name))
        return parse_yaml(text, name, self.problems)

    def fault(self, origin: Origin, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(origin, code, message, hint))

    # the parts of a site

    def load(self) -> Site:
        self.problems += stray_files(self.files)
        node = self.tree("site.yaml")
        settings, origins, defaults = self.site_file(node)
        roles = {name: self.host_layer(name, tree, f"role {name}", file) for name, tree, file in self.named("roles")}
        layouts, hardware = (
            {
                name: self.host_layer(name, tree, f"{title} {name}", file)
                for name, tree, file in [*self.shipped(directory), *self.named(directory)]
            }
            for title, directory in (("layout", "layouts"), ("hardware", "hardware"))
        )
        profiles = {
            profile.name: profile
            for name, tree, file in [*self.shipped("os"), *self.named("profiles")]
            if (profile := self.profile(name, tree, file))
        }
        networks = settings.networks if settings else {}
        environments = settings.environments if settings else {}
        sites = tuple(sorted({network.site for network in networks.values() if network.site}))
        patterns = self.patterns(
            settings, origins, {"role": tuple(roles), "env": tuple(sorted(environments)), "site": sites}
        )
        hosts = read_hosts(((tree, file) for _, tree, file in self.named("hosts")), self.problems)
        assigns, rules = self.rule_file()
        repos, said = read_repos(self.tree("repos.yaml"), self.files, self.problems)
        arrays, array_origins = read_arrays(self.tree("arrays.yaml"), self.problems)
        site = Site(
            root=self.root,
            revision=self.revision or revision(self.root, self.files),
            environments=environments,
            patterns=patterns,
            networks=networks,
            arrays=arrays,
            secrets=settings.secrets if settings else {},
            repos=repos,
            macs=settings.macs if settings else MacsSpec(),
            policy=settings.policy if settings else PolicySpec(),
            whole=settings is not None,
            defaults=defaults,
            profiles=profiles,
            layouts=layouts,
            hardware=hardware,
            roles=roles,
            assigns=assigns,
            rules=rules,
            hosts=hosts.layers,
            locks=read_locks(self.tree("lock.yaml"), self.problems),
            ranged=hosts.ranged,
            files=self.files,
            origins=replace(origins, values={**origins.values, **said.values}, keys={**origins.keys, **said.keys}),
            array_origins=array_origins,
        )
        if site.whole:
            right = not any(problem.origin.file == "arrays.yaml" for problem in self.problems)
            self.problems += array_problems(site.arrays, site.array_origins, site.networks, whole=right)
        self.problems += network_problems(site.networks, origins)
        told = {(problem.origin.file, problem.origin.line) for problem in self.problems}
        self.problems += secret_problems(site.secrets, origins, self.root, told)
        return site

    def site_file(self, node: Node | None) -> tuple[SiteFile | None, Merged, Layer]:
        if node is not None and not isinstance(node, Map):
            if not isinstance(node, Bad):
                self.fault(node.origin, "BF013", "site.yaml must be a map of keys", "write 'schema: 1' first")
            return None, Merged(), Layer("defaults", Origin("site.yaml"))
        tree = node or Map((), Origin("site.yaml"))
        at = next((entry.origin for entry in tree.entries if entry.key == "defaults"), Origin("site.yaml"))
        said = tree.get("defaults")
        defaults = flatten(said, HOST, "defaults", at, self.problems, only=SHARED, elsewhere=_OWN)
        typed_alone(defaults, self.problems)
        self.plain_keys(entry for entry in tree.entries if entry.key == "defaults")
        rest = Map(tuple(entry for entry in tree.entries if entry.key != "defaults"), tree.origin)
        layer = flatten(rest, kind_of_model(SiteFile), "site.yaml", tree.origin, self.problems, beside=("defaults",))
        forced = (said for said in layer.says.values() if said.op == "force")
        operators = (*layer.replaces.values(), *layer.removes.values(), *forced)
        self.problems += [no_weaker(operator.origin) for operator in operators]
        merged = merge(Merged(), [layer])
        return typed(SiteFile, merged, tree.origin, self.problems), merged, defaults

    def plain_keys(self, entries: Iterable[Entry]) -> None:
        """Keys that are read as they stand, so that a suffix would go unnoticed."""
        self.problems += [no_weaker(entry.origin) for entry in entries if entry.op != "set"]

    def named(self, directory: str) -> Iterable[tuple[str, Node | None, str]]:
        for name in self.files:
            top, _, rest = name.partition("/")
            if top == directory and rest.endswith(".yaml") and (directory == "hosts" or "/" not in rest):
                yield rest.removesuffix(".yaml"), self.tree(name), name

    def shipped(self, directory: str) -> Iterable[tuple[str, Node | None, str]]:
        for name, text in shipped_texts("profiles").items():
            top, _, rest = name.partition("/")
            if top == directory:
                file = f"shipped:{name}"
                yield rest.removesuffix(".yaml"), parse_yaml(text, file, self.problems), file

    def host_layer(self, name: str, node: Node | None, title: str, file: str) -> Layer:
        try:
            parse_name(name)
        except ValueError as error:
            self.fault(Origin(file), "BF015", *told(error))
        beside = ProfileHead.model_fields if title.startswith("profile ") else ()
        layer = flatten(
            node, HOST, title, Origin(file), self.problems, only=SETTINGS, elsewhere=_DECIDED, beside=beside
        )
        typed_alone(layer, self.problems)
        return layer

    def profile(self, name: str, node: Node | None, file: str) -> Profile | None:
        entries = node.entries if isinstance(node, Map) else ()
        head = Map(tuple(entry for entry in entries if entry.key in ProfileHead.model_fields), Origin(file))
        rest = Map(tuple(entry for entry in entries if entry.key not in ProfileHead.model_fields), Origin(file))
        layer = self.host_layer(name, rest if isinstance(node, Map) else node, f"profile {name}", file)
        if isinstance(node, Bad):
            return None
        self.plain_keys(head.entries)
        flat = flatten(head, kind_of_model(ProfileHead), f"profile {name}", Origin(file), self.problems)
        found = typed(ProfileHead, merge(Merged(), [flat]), Origin(file), self.problems)
        if found and found.release not in RELEASES:
            at = flat.says[("release",)].origin
            self.fault(at, "BF030", f"no release {found.release!r}", did_you_mean(found.release, RELEASES))
            return None
        return Profile(name, found.release, found.arch, found.x86_level, layer) if found else None

    def patterns(
        self, settings: SiteFile | None, origins: Merged, alphabets: Mapping[str, tuple[str, ...]]
    ) -> tuple[Pattern, ...]:
        patterns = []
        for index, source in enumerate(settings.names if settings else ()):
            try:
                patterns.append(compile_pattern(source, alphabets))
            except ValueError as error:
                self.fault(origins.values[("names",)].items[index], "BF016", *told(error, "name pattern: "))
        return tuple(patterns)

    def rule_file(self) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        node = self.tree("rules.yaml")
        if not isinstance(node, Map):
            if node is not None and not isinstance(node, Bad):
                self.fault(node.origin, "BF013", "rules.yaml must be a map", "write 'assign:' and 'rules:'")
            return (), ()
        self.plain_keys(node.entries)
        for entry in node.entries:
            if entry.key not in ("assign", "rules"):
                hint = did_you_mean(entry.key, ("assign", "rules"))
                self.fault(entry.origin, "BF012", f"unknown key '{entry.key}'", hint)
        settable = {**{key: f"set {key} under 'rules:'" for key in SETTINGS}, **_OWN}
        assigns = tuple(self.rules(node.get("assign"), "assign", ASSIGNED, settable))
        rules = tuple(self.rules(node.get("rules"), "rule", SETTINGS, _DECIDED))
        self.problems += same_names((*assigns, *rules))
        return assigns, rules

    def rules(self, node: Node | None, word: str, only: Iterable[str], elsewhere: Mapping[str, str]) -> Iterable[Rule]:
        key = "assign" if word == "assign" else "rules"
        if isinstance(node, Map) or (isinstance(node, Text) and not node.empty):
            self.fault(node.origin, "BF013", f"'{key}' takes a list of rules", "begin each with '- when: ...'")
        for number, item in enumerate(node.items if isinstance(node, Seq) else (), 1):
            if isinstance(item, Map):
                yield from self.rule(item, f"{word} {number}", word, tuple(only), elsewhere)
            elif not isinstance(item, Bad):
                self.fault(item.origin, "BF013", "a rule is a map", "write '- when: ...' and what it sets")

    def rule(
        self, item: Map, title: str, word: str, only: Collection[str], elsewhere: Mapping[str, str]
    ) -> Iterable[Rule]:
        texts = {key: item.get(key) for key in _RULE_KEYS}
        self.plain_keys(entry for entry in item.entries if entry.key in texts)
        for key, value in texts.items():
            if isinstance(value, Seq | Map) or (isinstance(value, Text) and not value.value.isprintable()):
                self.fault(value.origin, "BF013", f"'{key}' takes one line of text", f"write '{key}: TEXT'")
                texts[key] = Bad(value.origin)
        if isinstance(named := texts["name"], Text):
            title = f"{word} {named.value}"
        rest = Map(tuple(entry for entry in item.entries if entry.key not in texts), item.origin)
        found = len(self.problems)
        layer = flatten(
            rest, HOST, title, item.origin, self.problems, only=only, elsewhere=elsewhere, beside=_RULE_KEYS
        )
        misspelt = any("'when'" in problem.hint for problem in self.problems[found:])
        typed_alone(layer, self.problems)
        at = texts["when"]
        when = None if isinstance(at, Bad) or (at is None and misspelt) else self.expression(at, item.origin)
        if when and isinstance(at, Text):
            yield Rule(title, when, at, layer)

    def expression(self, node: Node | None, origin: Origin) -> Expression | None:
        if not isinstance(node, Text) or node.empty:
            at = node.origin if node else origin
            self.fault(at, "BF017", "a rule needs 'when:'", "name classes, as in role_db & el9")
            return None
        try:
            return compile_expression(node.value)
        except ExpressionError as error:
            self.fault(node.at(error.at), "BF017", f"class expression: {error}", error.hint)
            return None


def same_names(rules: Iterable[Rule]) -> Iterable[Problem]:
    """Rules that one name would tell apart no more, in ``explain`` and in every message."""
    first: dict[str, Origin] = {}
    for rule in rules:
        at = first.setdefault(rule.name, rule.layer.origin)
        if at != rule.layer.origin:
            message = f"a second {rule.name}; the first is at {at}"
            yield Problem(rule.layer.origin, "BF027", message, "rename one: messages and 'explain' tell rules by name")
