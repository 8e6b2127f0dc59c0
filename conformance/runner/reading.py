"""Strict YAML: the core schema of YAML 1.2 and nothing else, with the line of every value.

Plain `yes`, `on`, `0123`, `1:20` and `2026-01-01` are not what they look like in YAML 1.1; here the words are text, and a number
is one only when it reads like one everywhere. A key that stands twice, a merge key and a tag are errors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from conformance.runner.model import SuiteError

if TYPE_CHECKING:
    from pathlib import Path

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast


class _TextLoader(_BASE):  # type: ignore[misc]
    """Composes nodes and resolves nothing: every scalar is text until `_scalar` has looked at it."""

    def resolve(self, kind: type[Node], value: str | None, implicit: Any) -> str:
        return _TAGS[kind]

    def descend_resolver(self, current: Node, index: Any) -> None:
        """There are no paths that decide about a tag."""

    def ascend_resolver(self) -> None:
        """As above."""


_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_AMBIGUOUS: Final = re.compile(
    r"[-+]?(0[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|\.[0-9]+|[0-9]+\.|\.inf|\.nan)"
)
_BEGINS_NUMBER: Final = frozenset("-+.0123456789")
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_TAGS: Final[dict[type[Node], str]] = {
    ScalarNode: _TEXT_TAG,
    SequenceNode: "tag:yaml.org,2002:seq",
    MappingNode: "tag:yaml.org,2002:map",
}


class Document:
    """The value of a YAML file, and where each part of it stands. SuiteError has file:line."""

    def __init__(self, path: Path, shown: str | None = None) -> None:
        self.name = shown or str(path)
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_TextLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise SuiteError(f"{self.name}:{line}: not YAML: {error.problem}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SuiteError(f"{self.name}:1: not YAML: {error}") from error
        if root is None:
            raise SuiteError(f"{self.name}:1: the file is empty")
        self._root: Node = root
        self._open: set[int] = set()
        self.value = self._build(self._root)

    def line(self, path: tuple[str | int, ...]) -> int:
        """The line of the value at `path`, or of the nearest thing around it."""
        node = self._root
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            node = found
        return int(node.start_mark.line) + 1

    def _fail(self, node: Node, what: str) -> SuiteError:
        return SuiteError(f"{self.name}:{node.start_mark.line + 1}: {what}")

    def _build(self, node: Node) -> Any:
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._fail(node, "an anchor contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self._build(each) for each in node.value]
            assert isinstance(node, MappingNode)
            return self._mapping(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._build(key_node)
            if not isinstance(key, str):
                raise self._fail(key_node, f"a key has to be text, not {key!r}")
            if key == "<<" and not key_node.style:
                raise self._fail(key_node, "merge keys are not part of the core schema")
            if key in built:
                raise self._fail(key_node, f"the key {key!r} stands twice")
            built[key] = self._build(value_node)
        return built

    def _scalar(self, node: ScalarNode) -> Any:
        text: str = node.value
        if node.tag != _TEXT_TAG:
            raise self._fail(node, f"the tag {node.tag} is not allowed")
        if node.style:  # quoted, or a block; plain is None or empty, as the parser has it
            return text
        if text in _NULL:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if text[0] not in _BEGINS_NUMBER:
            return text
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and not _AMBIGUOUS.fullmatch(text):
            return float(text)
        if _AMBIGUOUS.fullmatch(text):
            raise self._fail(node, f"{text} is read differently by different parsers; quote it")
        return text


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: Node = node.value[step]
        return child
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value  # type: ignore[no-any-return]
    return None
