"""Read a YAML file as plain data that remembers its lines; refuse what YAML only surprises with.

Anchors, aliases, tags and merge keys are refused before anything is built from them: an environment
needs none, and they are how a small file becomes a large one.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from isthmus.environment.diagnostics import UnreadableFile, Where, printable

MAX_FILE_BYTES = 1024 * 1024
"""Bytes of the largest file that is read; a real one has one or two thousand."""
MAX_DEPTH = 32
"""Levels of nesting; an overlay's deepest real key is at about twelve."""
MAX_NODES = 10_000
"""Keys and values in all; PyYAML needs about half a second for so many, and no mesh needs them."""
ANCHORS = (
    "must hold no anchors (&) or aliases (*): write what they stand for in each place; "
    "a program writes it so as JSON, which is YAML too"
)
SURROGATE = re.compile("[\ud800-\udfff]")
STANDARD = "tag:yaml.org,2002:"
NOT_DATES = {
    sign: [(tag, form) for tag, form in known if not tag.endswith((":timestamp", ":value"))]
    for sign, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
"""The resolvers without dates: an overlay that says 2026-01-01 means the text."""


@dataclass(frozen=True)
class Document:
    """A file's data; `lines` says where each place stands, `written` how a value was spelled."""

    data: Any
    lines: dict[Where, int] = field(default_factory=dict)
    written: dict[Where, str] = field(default_factory=dict)

    def line(self, where: Where) -> int:
        """Return the line of a place, or of the nearest mapping around it that exists."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


def read(path: Path) -> Document:
    """Return the file's one YAML document; raises UnreadableFile with the line and the rule."""
    loader = _Loader(_text(path))
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, loader.where) from None
    if node is None or node.value == "":
        raise UnreadableFile(1, (), "is empty: it must be a mapping such as `name: pair`")
    if not isinstance(node, yaml.MappingNode):
        raise UnreadableFile(_line(node), (), "must be a mapping such as `name: pair`")
    return _Builder(loader).document(node)


def _text(path: Path) -> str:
    try:
        content = _bytes(path)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(line, (), f"must be UTF-8 text{_guess(content)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFile(None, (), f"cannot be read: {reason}") from None
    if bad := yaml.SafeLoader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        rule = f"must be UTF-8 text without control characters{_guess(content)}"
        raise UnreadableFile(line, (), rule, printable(bad.group()))
    return text


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UnreadableFile(None, (), "is a folder, not a file")
    if path.exists() and not path.is_file():
        raise UnreadableFile(None, (), "is a device or a pipe, not a file")
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableFile(1, (), f"must be at most {MAX_FILE_BYTES >> 20} MiB large")
    return content


def _guess(content: bytes) -> str:
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:2]
    return "; this looks like UTF-16" if utf16 else ""


def _not_yaml(error: yaml.MarkedYAMLError, where: list[str | int]) -> UnreadableFile:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if isinstance(error, yaml.composer.ComposerError):
        return UnreadableFile(line, (), "must hold one document, so no second `---`")
    return UnreadableFile(
        line, tuple(where), f"is not valid YAML: {printable(error.problem or 'unknown')}"
    )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which looks at each node before it composes it."""

    yaml_implicit_resolvers = NOT_DATES

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.where: list[str | int] = []
        self.depth = 0
        self.count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node, and keep `where` at the key that is being read."""
        named = index is not None
        if named:
            self.where.append(index if isinstance(index, int) else str(index.value))
        self._refuse_unsafe_yaml(self.peek_event())  # type: ignore[no-untyped-call]
        self.depth += 1
        self.count += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if named:
            self.where.pop()
        return node

    def _refuse_unsafe_yaml(self, event: Any) -> None:
        line, where = event.start_mark.line + 1, tuple(self.where)
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise UnreadableFile(line, where, ANCHORS, event.anchor)
        if event.tag:
            raise UnreadableFile(line, where, "must hold no tags (!)", printable(event.tag))
        if self.depth > MAX_DEPTH:
            raise UnreadableFile(line, where[:4], f"must be nested at most {MAX_DEPTH} levels deep")
        if self.count > MAX_NODES:
            raise UnreadableFile(line, (), f"must hold at most {MAX_NODES} keys and values")
        if isinstance(event, yaml.ScalarEvent) and SURROGATE.search(event.value):
            raise UnreadableFile(
                line, where, "must be text that UTF-8 can hold", printable(event.value)
            )


class _Builder:
    """Makes plain data of nodes, and writes down where everything stood."""

    def __init__(self, loader: _Loader) -> None:
        self.loader = loader
        self.lines: dict[Where, int] = {}
        self.written: dict[Where, str] = {}

    def document(self, root: yaml.Node) -> Document:
        """Return the data below `root`."""
        self.lines[()] = _line(root)
        return Document(self._value(root, ()), self.lines, self.written)

    def _value(self, node: yaml.Node, where: Where) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*where, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, where)

    def _item(self, node: yaml.Node, where: Where) -> Any:
        self.lines[where] = _line(node)
        return self._value(node, where)

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in node.value:
            name = self._key(key, where)
            if name in made:
                rule = f"is a duplicate key: line {self.lines[*where, name]} has it already"
                raise UnreadableFile(_line(key), (*where, name), rule)
            self.lines[*where, name] = _line(key)
            made[name] = self._value(value, (*where, name))
        return made

    def _key(self, node: yaml.Node, where: Where) -> str:
        if node.tag == f"{STANDARD}str":
            return str(node.value)
        kind = node.tag.removeprefix(STANDARD)
        got = printable(node.value) if isinstance(node, yaml.ScalarNode) else ""
        raise UnreadableFile(_line(node), where, f"must have text as keys, not a YAML {kind}", got)

    def _scalar(self, node: yaml.Node, where: Where) -> Any:
        self.written[where] = node.value
        try:
            value = self.loader.construct_object(node)
        except ValueError:
            value = math.nan
        if isinstance(value, float) and not math.isfinite(value):
            raise UnreadableFile(
                _line(node), where, "must be a finite number", printable(node.value)
            )
        return value
