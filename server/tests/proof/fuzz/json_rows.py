"""The table of T31: JSON texts of every hostile kind, and the one verdict that each must get wherever it stands.

The rows of spec/vectors are taken over; what they lack stands here. No text has a newline, which would end a TCP line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.vectors import vectors

from jobwire_server.wire import limits

OK: Final = "ok"
PARSE_ERROR: Final = "PARSE_ERROR"
VALIDATION_ERROR: Final = "VALIDATION_ERROR"
MIB: Final = 1 << 20
_PUSH: Final = b'{"cmd":"push","queue":"emails","name":"send-welcome","data":'


@dataclass(frozen=True, slots=True)
class Row:
    """`text` as the value of a member; `verdict` is ok or a code, its size apart."""

    name: str
    text: bytes
    verdict: str

    def verdict_within(self, limit: int) -> str:
        """The verdict in a place that takes `limit` bytes (JW-LIMIT-1)."""
        too_long = self.verdict == OK and len(self.text) > limit
        return VALIDATION_ERROR if too_long else self.verdict


# Every kind of byte sequence that is not UTF-8 (RFC 3629, and the table of well-formed sequences in Unicode 3.9).
_BAD_UTF8: Final = {
    "continuation 80": b"\x80",
    "continuation BF": b"\xbf",
    "overlong, 2 bytes, C0 80": b"\xc0\x80",
    "overlong, 2 bytes, C1 BF": b"\xc1\xbf",
    "overlong, 3 bytes, E0 80 80": b"\xe0\x80\x80",
    "overlong, 3 bytes, E0 9F BF": b"\xe0\x9f\xbf",
    "overlong, 4 bytes, F0 80 80 80": b"\xf0\x80\x80\x80",
    "overlong, 4 bytes, F0 8F BF BF": b"\xf0\x8f\xbf\xbf",
    "overlong quote": b"\xc0\xa2",
    "overlong backslash": b"\xc1\x9c",
    "surrogate D800": b"\xed\xa0\x80",
    "surrogate DFFF": b"\xed\xbf\xbf",
    "surrogates in pair (CESU-8)": b"\xed\xa0\xbd\xed\xb8\x80",
    "over U+10FFFF, F4 90": b"\xf4\x90\x80\x80",
    "lead F5": b"\xf5\x80\x80\x80",
    "5 bytes": b"\xf8\x88\x80\x80\x80",
    "6 bytes": b"\xfc\x84\x80\x80\x80\x80",
    "byte FE": b"\xfe",
    "byte FF": b"\xff",
    "cut after 1 of 2": b"\xc3",
    "cut after 1 of 3": b"\xe2",
    "cut after 2 of 3": b"\xe2\x82",
    "cut after 3 of 4": b"\xf0\x9f\x98",
    "Latin-1": b"caf\xe9",
}
_DUPLICATES: Final = {
    "a batch of keys": b'{"a":1,"b":2,"c":3,"a":4}',
    "spaced": b'{ "a" : 1 , "a" : 2 }',
    "behind an escape": b'{"\\u0061b":1,"a\\u0062":2}',
    "of equal values": b'{"a":1,"a":1}',
    "NUL": b'{"\\u0000":1,"\\u0000":2}',
    "__proto__": b'{"__proto__":1,"__proto__":2}',
    "in an array": b'[1,[2,{"x":{"k":1,"k":2}}]]',
}
_OTHERS: Final = (
    ("number/5000 digits", b"9" * 5000, OK),
    ("number/-5000 digits", b"-" + b"9" * 5000, OK),
    ("number/5000 digits of a fraction", b"0." + b"3" * 5000, OK),
    ("number/1e-5000", b"1e-5000", OK),
    ("number/1e308 times ten", b"1e309", PARSE_ERROR),
    ("number/largest double", b"1.7976931348623157e308", OK),
    ("number/400 digits and an exponent", b"1" * 400 + b"e0", PARSE_ERROR),
    ("number/nan", b"nan", PARSE_ERROR),
    ("number/-NaN", b"-NaN", PARSE_ERROR),
    ("number/inf", b"inf", PARSE_ERROR),
    ("number/Arabic digit", "٣".encode(), PARSE_ERROR),
    ("string/NUL escaped and plain text", b'"\\u0000\\u0000x"', OK),
    ("string/never closed", b'"abc', PARSE_ERROR),
    ("string/half an escape", b'"\\u00', PARSE_ERROR),
    ("string/surrogate pair of wrong case", b'"\\uD83C\\uDF89"', OK),
    ("string/low then high", b'"\\udf89\\ud83c"', PARSE_ERROR),
    ("bytes/BOM before", b"\xef\xbb\xbf{}", PARSE_ERROR),
    ("bytes/BOM behind", b"{}\xef\xbb\xbf", PARSE_ERROR),
    ("bytes/NUL behind", b"{}\x00", PARSE_ERROR),
    ("bytes/comma behind", b"{},", PARSE_ERROR),
    ("bytes/two values", b"{} {}", PARSE_ERROR),
    ("bytes/UTF-16", '{"a":1}'.encode("utf-16-le"), PARSE_ERROR),
    ("space/vertical tab", b"\x0b{}", PARSE_ERROR),
    ("space/next line", b"\xc2\x85{}", PARSE_ERROR),
    ("depth/127 objects", b'{"a":' * 127 + b"1" + b"}" * 127, OK),
    ("depth/128 objects", b'{"a":' * 128 + b"1" + b"}" * 128, OK),
    ("depth/128, mixed", b'[{"a":' * 64 + b"1" + b"}]" * 64, OK),
    ("depth/129, mixed", b'[{"a":' * 64 + b"[1]" + b"}]" * 64, PARSE_ERROR),
    ("depth/129 behind 128", b"[" + b"[" * 127 + b"]" * 127 + b"," + b"[" * 128 + b"]" * 129, PARSE_ERROR),
    ("depth/brackets in strings only", b'["' + b"[{" * 400 + b'","\\"[[["]', OK),
    ("depth/1000 brackets side by side", b"[" + b"[]," * 999 + b"[]]", OK),
    ("depth/1 MiB of [", b"[" * MIB, PARSE_ERROR),
    ("depth/1 MiB, closed", b"[" * (MIB // 2) + b"]" * (MIB // 2), PARSE_ERROR),
    ("size/64 KiB", b'"' + b"x" * (limits.METADATA_BYTES - 2) + b'"', OK),
    ("size/64 KiB and one", b'"' + b"x" * (limits.METADATA_BYTES - 1) + b'"', OK),
    ("size/1 MiB", b'"' + b"x" * (MIB - 2) + b'"', OK),
    ("size/1 MiB and one", b'"' + b"x" * (MIB - 1) + b'"', OK),
)  # fmt: skip


def rows() -> list[Row]:
    """Each text once."""
    found = {row.text: row for row in (*_from_vectors(), *_bad_utf8(), *_duplicates())}
    found |= {text: Row(name, text, verdict) for name, text, verdict in _OTHERS}
    return [row for row in found.values() if b"\n" not in row.text]


def _from_vectors() -> Iterator[Row]:
    for row in vectors("json_values"):
        yield Row(row["id"], row["text"].encode(), OK)
    for row in vectors("malformed"):
        text = _bytes_of(row)
        is_value = text.startswith(_PUSH) and text.endswith(b"}") and "truncated" not in row["id"]
        if is_value and row["code"] == PARSE_ERROR:
            yield Row(row["id"], text[len(_PUSH) : -1], PARSE_ERROR)


def _bytes_of(row: dict[str, object]) -> bytes:
    parts = row.get("parts")
    if isinstance(parts, list):
        return b"".join(bytes.fromhex(part) * times for part, times in parts)
    return bytes.fromhex(str(row["hex"]))


def _bad_utf8() -> Iterator[Row]:
    for name, bad in _BAD_UTF8.items():
        yield Row(f"UTF-8/{name}, in a string", b'"x' + bad + b'y"', PARSE_ERROR)
        yield Row(f"UTF-8/{name}, in a key", b'{"x' + bad + b'":1}', PARSE_ERROR)
        yield Row(f"UTF-8/{name}, bare", b"[1," + bad + b"]", PARSE_ERROR)


def _duplicates() -> Iterator[Row]:
    for name, text in _DUPLICATES.items():
        yield Row(f"key twice/{name}", text, PARSE_ERROR)
    for depth in (1, 2, 64, limits.JSON_DEPTH - 1):
        text = b'{"a":' * depth + b'{"k":1,"k":2}' + b"}" * depth
        yield Row(f"key twice/{depth} objects deep", text, PARSE_ERROR)
