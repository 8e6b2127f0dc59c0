"""What Python source hands to SQLite as the text of a statement, found by reading the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_SQL_WORDS = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|REPLACE|WHERE|VALUES|PRAGMA|CREATE|DROP|ALTER|ATTACH|JOIN|HAVING|GROUP BY|ORDER BY|LIMIT|OFFSET|coalesce|json_array)\b"
)
_RUNNERS = frozenset({"execute", "executemany", "executescript", "pragma"})
_BUILDERS = frozenset({"walking", "sized"})  # of queries.py: they choose among its own statements

# Statements that are put together, each with the reason why no value of a caller can get into one.
PUT_TOGETHER = {
    "edge": "schema.py, at the start: the index and its condition are those of the file's own schema",
    "migration.sql": "schema.py: a file of the package",
    "_LEDGER": "schema.py: a constant",
    "pragma": "connecting.py: the keys of a constant table",
}
FORMATTED = {
    "f'PRAGMA {check}(1)'": "schema.py: one of two constants",
    "f'SELECT seq FROM jobs INDEXED BY \"{index}\" WHERE {condition} LIMIT 1'": "the statement `edge` above",
    "f'coalesce(octet_length({column}), 0)'": "queries.py: the names of a constant",
    "f'coalesce({_APART}, 0)'": "queries.py: a constant",
    "f\"json_array({', '.join(COLUMNS)}, data_crc, seq)\"": "queries.py: the fields of model.Job",
}


def doubtful(source: str) -> Iterator[str]:
    """Statements that are neither constants, nor of queries.sql, nor listed above; and texts like SQL that are formatted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _runs(node) and node.args and not _is_known(node.args[0]):
            yield f"line {node.lineno}: runs {ast.unparse(node.args[0])}"
        if _is_formatted(node) and ast.unparse(node) not in FORMATTED:
            yield f"line {getattr(node, 'lineno', 0)}: formats {ast.unparse(node)}"


def statements(source: str) -> int:
    """How many calls there are that run one."""
    return sum(isinstance(node, ast.Call) and _runs(node) for node in ast.walk(ast.parse(source)))


def _runs(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _RUNNERS


def _is_known(text: ast.expr) -> bool:
    if isinstance(text, ast.Constant):
        return True
    if isinstance(text, ast.Subscript):
        return ast.unparse(text.value) == "SQL"
    if isinstance(text, ast.Call):
        return ast.unparse(text.func) in _BUILDERS
    return ast.unparse(text) in {*PUT_TOGETHER, *FORMATTED}


def _is_formatted(node: ast.AST) -> bool:
    """An f-string, `%` or `.format` over a text with words of SQL."""
    if isinstance(node, ast.JoinedStr):
        return _has_sql(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        return isinstance(node.left, ast.Constant) and _has_sql(node.left)
    is_format = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".format")
    return is_format and _has_sql(node)


def _has_sql(node: ast.AST) -> bool:
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return any(_SQL_WORDS.search(text) for text in texts if isinstance(text, str))


def sources(package: Path) -> dict[str, str]:
    """The text of every module of a package, by its path."""
    return {str(path.relative_to(package)): path.read_text() for path in package.rglob("*.py")}
