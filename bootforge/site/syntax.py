"""What libyaml says about a file that is not YAML, said again for somebody who writes a site: where to look, what is
wrong, and the remedy."""

from __future__ import annotations

import re

import yaml

from bootforge.errors import Problem
from bootforge.model import Origin

_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BEGINNINGS = tuple(f"while scanning {what}" for what in ("an anchor", "an alias", "a tag", "a directive"))
_SISTERS = "or indent it as its sisters are"
_ADVICE = (
    ("found a tab character", "a tab cannot indent", "indent with spaces"),
    ("mapping values are not allowed", "a second ':' in one value", f"quote a text that holds ': ', {_SISTERS}"),
    ("could not find expected ':'", "a line without a key", "write 'key: value', with a blank after the colon"),
    ("end of stream", "this quote is never closed", "close it"),
    ("expected ',' or ']'", "this '[' is never closed", "close it; quote a value that holds brackets"),
    ("expected ',' or '}'", "this '{' is never closed", "close it; quote a value that holds braces"),
    ("expected key", "{} cannot stand here", f"quote a value that holds braces or quotes, {_SISTERS}"),
    ("expected '-'", "{} cannot stand here", f"quote a value that holds braces or quotes, {_SISTERS}"),
    ("node content", "{} cannot stand here", f"quote a value that holds braces or quotes, {_SISTERS}"),
    ("block sequence entries", "no '- ' can stand here", "begin a list in a line of its own, or write [a, b]"),
    ("mapping keys are not allowed", "'?' cannot stand here", "quote a value that begins with it"),
    ("escape", "no such escape in double quotes", "use single quotes, in which a backslash is a backslash"),
    ("unexpected ':'", "a value in braces that holds a ':' before a bracket", "quote it"),
    ("expected <document start>", "the document ended above", "remove the line '...'"),
    ("maximum nesting depth", "nested deeper than 32 levels", "nothing in a site is as deep as that"),
)
"""A part of libyaml's message, what is wrong, and the remedy; {} is what stands at the place."""


def end_of(text: str, file: str) -> Origin:
    """The place after a text with which a file begins."""
    lines = _LINE_END.split(text)
    return Origin(file, len(lines), len(lines[-1]) + 1)


def syntax_problem(error: yaml.YAMLError, file: str, text: str) -> Problem:
    """The problem at the place that is to be mended: where a quote or bracket opens, not where the file ends."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode("utf-8", "ignore")
        return Problem(
            end_of(before, file), "BF001", f"not YAML: {error.reason}", "remove it; some editors do not show it"
        )
    said, context = getattr(error, "problem", None) or "", getattr(error, "context", None) or ""
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line, col = (mark.line, mark.column) if mark else (0, 0)
    lines = [*_LINE_END.split(text), ""]
    unclosed = (
        "end of stream" in said or "expected ':'" in said or ("expected ','" in said and opened and opened.line < line)
    )
    what, hint = next(
        ((what, hint) for word, what, hint in _ADVICE if word in said),
        (said, "look here and at the line above for quotes, brackets and indentation"),
    )
    if "cannot start any token" in said or context in _BEGINNINGS:
        line, col = (opened.line, opened.column) if opened else (line, col)
        what, hint = "a value cannot begin with {}", "quote it"
        if lines[line][col : col + 1] == "\t":
            _, what, hint = _ADVICE[0]
    elif "mapping values" in said and ": " not in lines[line][:col]:
        above = next((number for number in range(line - 1, -1, -1) if lines[number].strip()), line)
        if above < line and not re.search(r":( |$)", lines[above].rstrip()):
            _, what, hint = _ADVICE[2]
            line, col = above, len(lines[above]) - len(lines[above].lstrip())
        elif above < line:
            what, hint = "{} is indented as a part of the value above", "indent it as its sisters are"
            col = len(lines[line]) - len(lines[line].lstrip())
    elif "<document start>" in said and not any(one.startswith("...") for one in lines[:line]):
        what, hint = "{} stands outside of what began above", "begin every key of a file in the first column"
    elif "expected '-'" in said and opened and opened.line < line:
        what = f"{{}} stands among the elements of the list that begins in line {opened.line + 1}"
        hint = "indent it as its sisters are, or drop the '- ' there"
    elif "{}" in what and lines[line][:col].rstrip()[-1:] in ("'", '"'):
        what, hint = "{} cannot stand here, after the closing quote", "write '' for a ' inside '...'"
    elif "{}" in what and lines[line][col : col + 1] == ":":
        _, what, hint = _ADVICE[2]
    elif opened and unclosed:
        line, col = opened.line, opened.column
    elif "expected ','" in said:
        what, hint = "{} cannot stand here", "quote a value that holds braces or brackets"
    if line >= len(lines) - 1 or not "".join([lines[line][col:], *lines[line + 1 :]]).strip():
        if "{}" in what:
            what, hint = "the file ends in the middle of a value", "close every bracket and quote"
        return Problem(end_of(text.rstrip(), file), "BF001", f"not YAML: {what}", hint)
    found = re.match(r"[\w-]+|.", lines[line][col:])
    what = what.replace("{}", repr(found[0]) if found else "the end of the line")
    return Problem(Origin(file, line + 1, col + 1), "BF001", f"not YAML: {what}", hint)
