"""Text from outside, made fit for the place where it will stand: redacted, cut to size, escaped."""

import re

from isthmus.reporting.redaction import redact

MAX_LABEL_CHARS, MAX_PROSE_CHARS, MAX_BLOCK_CHARS = 120, 1500, 6000
"""Characters that a label in a picture, a sentence and a block of text get at most."""
MAX_REASONS = 20
"""Reasons of a message that are listed."""
_REASON = "- "
"""What each begins with (isthmus.errors.combine_errors)."""
_PLAIN = re.compile(r"[A-Za-z0-9 .,/()-]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&!])")
_NOT_IN_GANTT = re.compile(r"[^A-Za-z0-9 ./()-]+")
_TICKS = re.compile(r"`+")


def single_line(text: str, limit: int = MAX_PROSE_CHARS) -> str:
    """Return the text on one line, without secrets."""
    return _cut(" ".join(redact(text).split()), limit)


def label(text: str) -> str:
    """Return the text as part of a quoted label of Mermaid: everything unusual by its number."""
    found = single_line(text, MAX_LABEL_CHARS)
    return "".join(c if _PLAIN.match(c) else f"#{ord(c)};" for c in found)


def task(text: str) -> str:
    """Return the text as the name of a task in Mermaid's Gantt, which has no way of quoting."""
    return _NOT_IN_GANTT.sub(" ", single_line(text, MAX_LABEL_CHARS)).strip() or "step"


def prose(text: str) -> str:
    """Return the text as Markdown that shows every sign of it."""
    return _MARKDOWN.sub(r"\\\1", single_line(text))


def block(text: str) -> str:
    """Return the text as a block of code, line by line."""
    found = _cut(redact(text).strip("\n"), MAX_BLOCK_CHARS)
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(found)), default=0))
    return f"{fence}\n{found}\n{fence}\n"


def paragraph(text: str) -> str:
    """Return a message as it is best read: wrapped, as a list of its reasons, or line by line."""
    first, *others = redact(text).strip().splitlines() or [""]
    if not others:
        return f"{prose(first)}\n"
    if not others[0].lstrip().startswith(_REASON):
        return block(text)
    listed = "\n".join(_entry(lines) for lines in _reasons(others)[:MAX_REASONS])
    return f"{prose(first)}\n\n{listed}\n"


def _reasons(lines: list[str]) -> list[list[str]]:
    """Return the lines of each reason; what a reason says in more than one follows its first."""
    found: list[list[str]] = []
    for text in lines:
        told = text.strip()
        if told.startswith(_REASON):
            found.append([told.removeprefix(_REASON)])
        elif told:
            found[-1].append(told)
    return found


def _entry(lines: list[str]) -> str:
    # A list's entry goes on where it is indented, and a backslash breaks its line (CommonMark).
    return "- " + "\\\n  ".join(prose(told) for told in lines)


def drawing(source: str) -> str:
    """Return Mermaid's source, whose labels are made by `label` and `task`, as a drawing."""
    return f"```mermaid\n{source}\n```\n"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
