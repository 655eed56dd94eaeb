"""The schema of files, edits, commands, hooks, and of how the bootstrap treats them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bootforge.site.kinds import Model
from bootforge.site.scalars import AsSet, Bool, Name, SitePath, User, one_of
from bootforge.site.scalars_files import (
    Block,
    Comment,
    Line,
    LinkTarget,
    Match,
    Mode,
    Notify,
    SecretWord,
    Separator,
    SettingKey,
    StepKind,
    Value,
)

_NOTIFY = "What a change of it owes: 'restart NAME', 'reload NAME', 'daemon-reload', 'run NAME' of 'commands:'."


class FileSpec(Model):
    """A whole file of the installed system: exactly one of source, content and secret."""

    source: SitePath | None = Field(None, description="Its content, as the path of a file of the site.")
    content: Block | None = Field(None, description="Its content; several lines after '|'.")
    secret: SecretWord | None = Field(None, description="Its content, by the name of a secret.")
    mode: Mode | None = Field(None, description="Its mode, in octal. Default: 0644, of a secret 0600.")
    owner: User = Field("root", description="Its owner.")
    group: User = Field("root", description="Its group.")
    notify: Annotated[tuple[Notify, ...], *AsSet] = Field((), description=_NOTIFY)
    facts: Bool = Field(False, description="Whether {fact} in its content makes way for the host's fact.")
    watch: Bool = Field(False, description="Whether a difference is told and left, as by 'bootstrap: {mode: watch}'.")


class DirectorySpec(Model):
    """A directory; what is in it is left alone."""

    mode: Mode = Field("755", description="Its mode, in octal.")
    owner: User = Field("root", description="Its owner.")
    group: User = Field("root", description="Its group.")


class LinkSpec(Model):
    """A symbolic link, also in place of a file, but never of a directory."""

    to: LinkTarget = Field(description="What it leads to, as it is written into the link.")


class LineSpec(Model):
    """A line of a file that a package owns."""

    line: Line | None = Field(None, description="The line. With 'state: absent', one that is taken out.")
    match: Match | None = Field(
        None,
        description="A regular expression. The first line in which it is found makes way for 'line', and others are"
        " taken out; it must be found in 'line' too.",
    )
    state: one_of("present", "absent") = Field(  # type: ignore[valid-type]
        "present", description="absent: every such line is taken out."
    )


class EditSpec(Model):
    """What is so in a file that a package owns; the rest of it, its mode and its owner are left alone."""

    settings: dict[SettingKey, Value] = Field(
        {}, description="Values by key. The first line that sets the key makes way, later ones are taken out."
    )
    separator: Separator = Field("=", description="What stands between a key and its value, as in ' = '.")
    lines: dict[Name, LineSpec] = Field({}, description="Lines by a name that only the site knows.")
    block: Block | None = Field(
        None, description="Lines between two comments that mark them; without any, a block that is there is taken out."
    )
    comment: Comment = Field("#", description="What begins a comment in the file.")
    facts: Bool = Field(False, description="Whether {fact} in settings, lines and block makes way for the host's fact.")
    notify: Annotated[tuple[Notify, ...], *AsSet] = Field((), description=_NOTIFY)


class HookSpec(Model):
    """A script of the site's own: called with 'check', and with 'apply' when that exits with 1."""

    source: SitePath = Field(description="The script, for a POSIX sh, as the path of a file of the site.")
    phases: Annotated[tuple[one_of("install", "boot", "run"), ...], *AsSet] = Field(  # type: ignore[valid-type]
        ("boot", "run"), description="When it is called: in %post (install), at the first boot, ever after."
    )


class BootstrapSpec(Model):
    """How the bootstrap treats what differs."""

    mode: one_of("enforce", "watch") = Field(  # type: ignore[valid-type]
        "enforce", description="watch: every step tells what it would change, and changes nothing."
    )
    watch: Annotated[tuple[StepKind, ...], *AsSet] = Field(
        (), description="Kinds of steps that tell what they would change, and change nothing, as in services."
    )
