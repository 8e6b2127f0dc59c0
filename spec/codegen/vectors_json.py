"""The rows of json_values.json (kept verbatim) and malformed.json (refused, with the code of each door)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source import Spec

_PUSH = b'{"cmd":"push","queue":"emails","name":"send-welcome","data":{"user":1701,"to":"a\\u00e9@example.org"},"priority":5}'
_HTTP_PUSH = b'{"name":"send-welcome","data":%s}'
_TCP_PUSH = b'{"cmd":"push","queue":"emails","name":"send-welcome","data":%s}'


# --- kept verbatim ------------------------------------------------------------------------------------------------


def values(spec: Spec) -> dict[str, Any]:
    """json_values.json."""
    rows = [*_numbers(), *_strings(), *_structures(spec)]
    return {
        "about": (
            "Valid values of data, result and metadata. A server keeps `text` byte for byte and sends it back so (JW-JOB-5). `exact` is false"
            " where a common JSON parser cannot keep the value: a client shows the nearest that its language has, and never sends it back changed."
        ),
        "provenance": "RFC 8259; JW-JOB-5 and JW-ERR-10 in the specification",
        "vectors": [{"id": name, "text": text, "exact": exact} for name, text, exact in rows],
    }


def _numbers() -> list[tuple[str, str, bool]]:
    rows: list[tuple[str, str, bool]] = []
    for power in (31, 32, 53, 63, 64):
        for step in (-1, 0, 1):
            for sign in (1, -1):
                number = sign * (2**power) + step
                text = (
                    f"{'-' if sign < 0 else ''}2^{power}{step:+d}"
                    if step
                    else f"{'-' if sign < 0 else ''}2^{power}"
                )
                rows.append((f"int/{text}", str(number), abs(number) <= 2**53))
    rows += [
        ("int/0", "0", True),
        ("int/-0", "-0", False),
        ("int/400 digits", "1" + "0" * 399, False),
    ]
    spellings = (
        "1",
        "1.0",
        "1e0",
        "1E+0",
        "10e-1",
        "-0.0",
        "0.1",
        "1e308",
        "5e-324",
        "2.2250738585072011e-308",
        "1e-400",
        "123456789.123456789",
    )
    rows += [(f"number/{text}", text, text in ("1", "0.1")) for text in spellings]
    return rows


def _strings() -> list[tuple[str, str, bool]]:
    texts = {
        "empty": '""',
        "emoji": '"\U0001f389\U0001f468\u200d\U0001f469\u200d\U0001f467"',
        "emoji escaped": '"\\ud83c\\udf89"',
        "right to left": '"\u0645\u0631\u062d\u0628\u0627 \u202bx\u202c"',
        "combining": '"e\u0301 is not \u00e9"',
        "line separators": '"a\u2028b\u2029c"',
        "line separators escaped": '"a\\u2028b\\u2029c"',
        "NUL escaped": '"a\\u0000b"',
        "control characters escaped": '"\\b\\f\\n\\r\\t\\u001f\\u007f"',
        "DEL and C1": '"\x7f\u0085\u009f"',
        "solidus": '"a/b\\/c"',
        "escapes of plain letters": '"\\u0041\\u005c\\u0022"',
        "noncharacters": '"\ufffe\uffff\U0010ffff"',
        "BOM inside": '"a\ufeffb"',
        "HTML": '"<script>&amp;</script>"',
        "looks like a number": '"9007199254740993"',
    }
    return [(f"string/{name}", text, True) for name, text in texts.items()]


def _structures(spec: Spec) -> list[tuple[str, str, bool]]:
    deepest: int = spec.wire["limits"]["json_depth"]
    return [
        ("literal/null", "null", True),
        ("literal/true", "true", True),
        ("literal/false", "false", True),
        ("array/empty", "[]", True),
        ("object/empty", "{}", True),
        ("object/empty key", '{"":1}', True),
        ("object/key order", '{"b":1,"a":2,"10":3,"9":4}', True),
        ("object/__proto__", '{"__proto__":{"x":1},"constructor":1}', True),
        ("object/keys that differ by form", '{"\u00e9":1,"e\u0301":2}', True),
        ("object/keys that differ by case", '{"a":1,"A":2}', True),
        ("object/same key at two depths", '{"a":{"a":{"a":1}}}', True),
        ("object/NUL in a key", '{"a\\u0000":1}', True),
        ("spaces inside", '{ "a" : [ 1 ,\t2 ] }', True),
        ("array/mixed", '[1,"1",null,true,[],{},1.5]', True),
        ("depth/64 arrays", "[" * 64 + "]" * 64, True),
        ("depth/64 objects", '{"a":' * 64 + "1" + "}" * 64, True),
        (f"depth/{deepest} arrays", "[" * deepest + "]" * deepest, True),
    ]


# --- refused ------------------------------------------------------------------------------------------------------


def malformed(spec: Spec) -> dict[str, Any]:
    """malformed.json."""
    rows = [*_values_refused(), *_too_deep(spec), *_whole_requests(), *_truncated()]
    return {
        "about": (
            "Requests that are refused. `hex` are the bytes of a TCP line without its newline (door tcp), or of the body of POST"
            " /api/v1/queues/emails/jobs (door http); `parts` are the same as pairs of bytes and how often they stand there. `status` is that of HTTP. The connection stays open, and nothing is pushed."
        ),
        "provenance": "RFC 8259, RFC 3629; JW-ERR-4, JW-ERR-5, JW-LIMIT-3, JW-TCP-3 and JW-TCP-7 in the specification",
        "vectors": rows,
    }


def _row(
    name: str, door: str, text: bytes, code: str = "PARSE_ERROR", status: int = 400
) -> dict[str, Any]:
    return _answered({"id": f"{door}/{name}", "door": door, "hex": text.hex()}, code, status)


def _answered(row: dict[str, Any], code: str, status: int) -> dict[str, Any]:
    answered = {**row, "code": code}
    return answered if row["door"] == "tcp" else {**answered, "status": status}


def _values_refused() -> list[dict[str, Any]]:
    """A value that is not strict JSON stands as the data of a push, through both doors."""
    return [
        _row(name, door, frame % value)
        for name, value in _BAD_VALUES.items()
        for door, frame in (("tcp", _TCP_PUSH), ("http", _HTTP_PUSH))
    ]


_BAD_VALUES = {
    "UTF-8/lone continuation": b'"\x80"',
    "UTF-8/truncated sequence": b'"\xc3"',
    "UTF-8/overlong slash": b'"\xc0\xaf"',
    "UTF-8/encoded surrogate": b'"\xed\xa0\x80"',
    "UTF-8/over U+10FFFF": b'"\xf4\x90\x80\x80"',
    "UTF-8/byte FF": b'"\xff"',
    "UTF-8/Latin-1": b'"caf\xe9"',
    "UTF-8/bad bytes in a key": b'{"\xff":1}',
    "surrogate/high alone": b'"\\ud800"',
    "surrogate/low alone": b'"\\udc00"',
    "surrogate/high twice": b'"\\ud800\\ud800"',
    "surrogate/high, then a letter": b'"\\ud83cx"',
    "surrogate/swapped": b'"\\udf89\\ud83c"',
    "surrogate/in a key": b'{"\\ud800":1}',
    "number/NaN": b"NaN",
    "number/Infinity": b"Infinity",
    "number/-Infinity": b"-Infinity",
    "number/1e999": b"1e999",
    "number/-1e999": b"[-1e999]",
    "number/400 digits and a fraction": b"1" + b"0" * 399 + b".5",
    "number/leading zero": b"01",
    "number/plus": b"+1",
    "number/no integer part": b".5",
    "number/no fraction": b"1.",
    "number/no exponent": b"1e",
    "number/minus alone": b"-",
    "number/hexadecimal": b"0x10",
    "number/underscore": b"1_000",
    "key/twice": b'{"a":1,"a":1}',
    "key/twice, one escaped": b'{"a":1,"\\u0061":2}',
    "key/twice, nested": b'{"x":[{"y":{"a":1,"b":2,"a":3}}]}',
    "key/twice, empty": b'{"":1,"":2}',
    "syntax/single quotes": b"'a'",
    "syntax/bare word": b"yes",
    "syntax/True": b"True",
    "syntax/trailing comma in an array": b"[1,]",
    "syntax/trailing comma in an object": b'{"a":1,}',
    "syntax/comment": b"1/* one */",
    "syntax/bare key": b"{a:1}",
    "syntax/missing colon": b'{"a" 1}',
    "syntax/unknown escape": b'"\\x41"',
    "syntax/raw tab in a string": b'"a\tb"',
    "syntax/raw NUL in a string": b'"a\x00b"',
    "syntax/form feed as space": b"[1,\x0c2]",
    "syntax/no-break space": b"[1,\xc2\xa02]",
    "syntax/mismatched brackets": b"[1}",
    "syntax/no value": b"",
}


def _too_deep(spec: Spec) -> list[dict[str, Any]]:
    over: int = spec.wire["limits"]["json_depth"] + 1
    nestings: dict[str, list[tuple[bytes, int]]] = {
        f"{over} arrays": [(b"[", over), (b"]", over)],
        f"{over} objects": [(b'{"a":', over), (b"1", 1), (b"}", over)],
        "100000 arrays": [(b"[", 100_000), (b"]", 100_000)],
        "100000 objects": [(b'{"a":', 100_000), (b"1", 1), (b"}", 100_000)],
        "100000 brackets never closed": [(b"[", 100_000)],
    }
    frames = {"tcp": _TCP_PUSH, "http": _HTTP_PUSH}
    return [
        _deep_row(name, door, frame, value)
        for name, value in nestings.items()
        for door, frame in frames.items()
    ]


def _deep_row(name: str, door: str, frame: bytes, value: list[tuple[bytes, int]]) -> dict[str, Any]:
    before, after = frame.split(b"%s")
    parts = [[text.hex(), times] for text, times in [(before, 1), *value, (after, 1)]]
    return _answered(
        {"id": f"{door}/depth/{name}", "door": door, "parts": parts}, "PARSE_ERROR", 400
    )


def _whole_requests() -> list[dict[str, Any]]:
    both = {
        "BOM": b"\xef\xbb\xbf" + _HTTP_PUSH % b"1",
        "UTF-16": (_HTTP_PUSH % b"1").decode().encode("utf-16-le"),
        "trailing garbage": _HTTP_PUSH % b"1" + b" x",
        "two objects": _HTTP_PUSH % b"1" + _HTTP_PUSH % b"2",
        "trailing bracket": _HTTP_PUSH % b"1" + b"}",
        "top level/key twice": b'{"name":"a","name":"b"}',
    }
    rows = [_row(name, door, text) for name, text in both.items() for door in ("tcp", "http")]
    shapes = {
        "array": b"[[]]",
        "string": b'"push"',
        "number": b"1",
        "null": b"null",
        "true": b"true",
    }
    rows += [
        _row(f"top level/{name}", "http", text, "VALIDATION_ERROR", 422)
        for name, text in shapes.items()
    ]
    rows += [
        _row(f"top level/{name}", "tcp", text, "VALIDATION_ERROR") for name, text in shapes.items()
    ]
    rows += [_row(f"{name} line", "tcp", text) for name, text in _BLANK.items()]
    rows += [
        _row(f"{name} body", "http", text, "VALIDATION_ERROR", 422) for name, text in _BLANK.items()
    ]
    return [*rows, *_command_shapes()]


# A blank line is no JSON; a blank body is an object without fields (JW-HTTP-8), so that `name` is missing.
_BLANK = {"empty": b"", "blank": b"   ", "tab": b"\t", "carriage return": b"\r"}


def _command_shapes() -> list[dict[str, Any]]:
    return [
        _row("cmd/missing", "tcp", b"{}", "VALIDATION_ERROR"),
        _row("cmd/null", "tcp", b'{"cmd":null}', "VALIDATION_ERROR"),
        _row("cmd/number", "tcp", b'{"cmd":1}', "VALIDATION_ERROR"),
        _row("cmd/unknown", "tcp", b'{"cmd":"pusj"}', "UNKNOWN_COMMAND"),
        _row("cmd/empty", "tcp", b'{"cmd":""}', "UNKNOWN_COMMAND"),
        _row("cmd/other case", "tcp", b'{"cmd":"Ping"}', "UNKNOWN_COMMAND"),
        _row("cmd/of version 2", "tcp", b'{"cmd":"queues"}', "UNKNOWN_COMMAND"),
        _row("rid/negative", "tcp", b'{"cmd":"ping","rid":-1}', "VALIDATION_ERROR"),
        _row("rid/string", "tcp", b'{"cmd":"ping","rid":"1"}', "VALIDATION_ERROR"),
        _row("rid/fraction", "tcp", b'{"cmd":"ping","rid":1.5}', "VALIDATION_ERROR"),
        _row("rid/2^53", "tcp", b'{"cmd":"ping","rid":9007199254740992}', "VALIDATION_ERROR"),
        _row("field/unknown", "tcp", _TCP_PUSH % b'1,"colour":"red"', "VALIDATION_ERROR"),
        _row("field/unknown", "http", _HTTP_PUSH % b'1,"colour":"red"', "VALIDATION_ERROR", 422),
        _row("field/missing", "http", b"{}", "VALIDATION_ERROR", 422),
        _row("field/wrong type", "http", b'{"name":1}', "VALIDATION_ERROR", 422),
        _row(
            "field/over its limit",
            "http",
            b'{"name":"a","max_attempts":10001}',
            "VALIDATION_ERROR",
            400,
        ),
    ]


def _truncated() -> list[dict[str, Any]]:
    """A push line that ends after each of its bytes: it is refused, however it was cut."""
    return [
        _row(f"truncated/after byte {size}", "tcp", _PUSH[:size]) for size in range(1, len(_PUSH))
    ]
