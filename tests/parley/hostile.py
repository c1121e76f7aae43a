"""The usual horrors, as tables: bytes, members, queries and paths no endpoint and no frame may take.

Every text in here carries MARK, so that the database can be asked whether any of it was kept.
"""

import json

MARK = "h0rr1d"
MIB = 1 << 20
DEEP = 10000

#: Bodies and frames that are no JSON object, whatever is asked for.
NO_OBJECT = {
    "an opening brace": b"{",
    "a bare word": b"nope",
    "an unfinished object": b'{"a":1',
    "no value": b'{"a":}',
    "a comma too many": b'{"a":1,}',
    "something behind": b"{} {}",
    "single quotes": b"{'a':1}",
    "a comment": b"{/**/}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "a NUL": b"\x00",
    "a NUL behind": b"{}\x00",
    "an array": b"[]",
    "a text": b'"text"',
    "a number": b"5",
    "null": b"null",
    "true": b"true",
    "NaN": b"NaN",
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep arrays left open": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
}

#: Values as they stand in JSON text that make any object invalid, wherever they are.
POISON = {
    "deep arrays within": b"[" * DEEP + b"]" * DEEP,
    "deep objects within": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a lone high surrogate": rb'"\ud800"',
    "a lone low surrogate": rb'"\udc00"',
    "two high surrogates": rb'"\ud800\ud800"',
    "surrogates in reverse": rb'"\udc00\ud800"',
    "half an escape": rb'"\u12"',
    "an unknown escape": rb'"\x41"',
    "a control character": b'"a\x01b"',
    "a line break": b'"a\nb"',
    "a raw NUL": b'"a\x00b"',
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "a leading zero": b"01",
    "hexadecimal": b"0x10",
    "a bare point": b"1.",
    "a byte that is no UTF-8": b'"\xff"',
    "an overlong slash": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "half a character": b'"\xe2\x82"',
}
#: Well-formed values that are no text and no id.
NO_TEXT = {
    "true": b"true",
    "zero": b"0",
    "a fraction": b"1.5",
    "a negative number": b"-1",
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "400 digits": b"9" * 400,
    "1e400": b"1e400",
    "1e-400": b"1e-400",
    "an empty array": b"[]",
    "an empty object": b"{}",
    "an array of arrays": b"[[[]]]",
    "an array of nulls": b"[null,null]",
    "an object of objects": b'{"a":{"b":{}}}',
}

#: NUL is well-formed JSON and valid UTF-8, but PostgreSQL has no place for it and C ends there.
NUL = {"a text with NUL inside": rb'"a\u0000b"', "NUL alone": rb'"\u0000"'}

#: Members that would be privileges if anybody read them.
MORE = {"id": 1, "user_id_": 1, "sender_id": 1, "sender_username": MARK, "created_at": MARK, "is_active": False,
        "email_verified": True, "role": MARK, "owner_id": 1, "is_admin": True, "__proto__": {MARK: MARK}, "": MARK,
        MARK * 500: MARK, "nested": [[[[{MARK: [MARK]}]]]], "\x7f\u200f\U0001f4a9": [None] * 100}


def with_raw(body, name, raw):
    """The object as JSON, its member name having exactly these bytes as its value."""
    return with_last({k: v for k, v in body.items() if k != name}, name, raw)


def with_last(body, name, raw):
    """The object as JSON, and behind its members one more, which may be a second of its name."""
    inner = json.dumps(body).encode()[1:-1]
    return b"{" + inner + (b"," if inner else b"") + json.dumps(name).encode() + b":" + raw + b"}"


def with_first(body, name, raw):
    """JSON of an object, and before its members one more."""
    return b"{" + json.dumps(name).encode() + b":" + raw + (b"," if len(body) > 2 else b"") + body[1:]


def with_more(body):
    return json.dumps({**MORE, **body}).encode()


def broken_objects(body):
    """(why, bytes) of what is no JSON object at all, for a request that otherwise would do."""
    whole = json.dumps(body).encode()
    yield from NO_OBJECT.items()
    yield "nothing", b""
    yield "cut off", whole[:-1]
    for why, poison in POISON.items():
        yield f"{why} in a member more", with_last(body, MARK, poison)
    comma = b"," if body else b""
    yield "NUL in a name", whole[:-1] + comma + rb'"a\u0000":1}'
    yield "no UTF-8 in a name", whole[:-1] + comma + b'"\xff":1}'


def _mib(head, filling, tail):
    return head + (filling * (MIB // len(filling)))[:MIB - len(head) - len(tail)] + tail


#: Bodies of one MiB, which is within the limit, that are costly to parse.
LARGE = {
    "a MiB of brackets": b"[" * MIB,
    "a MiB of empty objects": b'{"a":[{}' + b",{}" * ((MIB - 20) // 3) + b"]}",
    "a MiB of backslashes": _mib(b'{"a":"', b"\\", b'"'),
}


#: Queries that are malformed, whatever the endpoint reads.
BAD_QUERIES = ["%", "%zz", "a=%", "a=%f", "a=%ff", "a=%00", "%00=a", "a=%ed%a0%80", "a=%c0%af", "a=%f5%80%80%80",
               "&".join(f"a{n}=1" for n in range(1000))]

#: Values no query parameter of ours takes, one that is a text excepted.
BAD_VALUES = ["", "-1", "1.5", "1e3", "0x10", "+1", "%20", "a", "%27", MARK, "1%00", "%F0%9F%92%A9", "9" * 3000, "a" * 6000,
              "1;2", "true", "null", "[]", "{}", "..%2f..", "%25s%25n"]

#: Path segments that name nothing. nginx refuses the first ones itself.
BAD_SEGMENTS = ["%", "%zz", "%0", "%00", "a%00b", "%ff", "%ed%a0%80", "%c0%af", "..%2f", "%2e%2e", "%2E", "%2f", "%5c",
                "-1", "0", "1.5", "01x", "9223372036854775807", "9223372036854775808", "9" * 400, "null", "undefined",
                "%F0%9F%92%A9", "'%20OR%201=1--", "%25s%25n", "a" * 6000, "{uuid}",
                "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "0193e000-0000-4000-8000-000000000001", "0193e000-0000-7000-c000-000000000001",
                "0193e000-0000-7000-8000-00000000000g", "0193e00000007000800000000000001",
                "{0193e000-0000-7000-8000-000000000001}"]

#: What a form may not be.
BAD_FORMS = [b"%", b"a=%zz", b"a=%ff", b"%00=1", b"a=%ed%a0%80", b"\xff=1", b"&".join(b"a%d=1" % n for n in range(101))]

WRONG_TYPES = ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/octet-stream",
               "text/json", "application/jsonp", "nonsense", "application/", "/json", ";", "application/json-ish",
               "a" * 5000]


# ---------------------------------------------------------------------- chunks

def chunks(body, size):
    """A body in the chunked transfer coding, with its end."""
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in [*pieces, b""])


#: What may not follow a head that promises chunks.
BROKEN_CHUNKS = {
    "no size": b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-5\r\n{}\r\n0\r\n\r\n",
    "a size beyond all": b"f" * 16 + b"\r\n{}\r\n0\r\n\r\n",
    "a size beyond that": b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n",
    "no line break": b"2{}\r\n0\r\n\r\n",
    "more than its size": b"1\r\n{}\r\n0\r\n\r\n",
    "more than the limit": b"200000\r\n" + b"x" * 1000,
}
