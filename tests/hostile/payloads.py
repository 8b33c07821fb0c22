"""Codes with a valid signature and invalid claims: times, IDs, emails, metadata."""

from service.refusal_texts import SignInErrorCode
from tests.hostile.forging import (
    BAD_CLAIMS,
    EXPIRED,
    MALFORMED,
    NOT_YET,
    HostileCode,
    encode,
    user,
    with_payload,
    with_times,
)

_TIMES = ("exp", "nbf", "iat")
_NO_TIMES: tuple[object, ...] = ("", "soon", "1700000000", "1e3", None, True, False, [], [1], {}, {"seconds": 1})


def _raw_time(claim: str, number: str, expected: SignInErrorCode | None) -> HostileCode:
    """A number that Python's own JSON writer would not write so."""
    name = f"{claim} {number[:12]} ({len(number)} characters)"
    return with_payload(name, encode(user(name))[:-1] + f',"{claim}":{number}}}'.encode(), expected)


TIMES = [
    *(
        with_payload(f"{claim} {value!r}", {**user(f"{claim} {value!r}"), claim: value}, BAD_CLAIMS)
        for claim in _TIMES
        for value in _NO_TIMES
    ),
    *(
        _raw_time(claim, number, BAD_CLAIMS)
        for claim in _TIMES
        for number in ("1e400", "-1e400", "9" * 400, "-" + "9" * 400, "9" * 4000, "9" * 5000, "-" + "9" * 5000)
    ),
    *(
        _raw_time(claim, number, MALFORMED)
        for claim in _TIMES
        for number in ("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10")
    ),
    *(
        _raw_time("exp", number, EXPIRED)
        for number in ("0", "-0", "-1", "-1e308", "1", "0.5", "1e-400", "-" + "9" * 300)
    ),
    _raw_time("exp", "4102444800.5", None),
    *(_raw_time("exp", number, BAD_CLAIMS) for number in ("1e300", "9" * 300, "9" * 12)),
    *(_raw_time("nbf", number, None) for number in ("0", "-1", "-1e308", "0.5")),
    *(_raw_time("iat", number, NOT_YET) for number in ("1e300", "9" * 300)),
    with_times("exp a minute past, to the second", lambda now: {"exp": now - 60}, EXPIRED),
    with_times("exp long past", lambda now: {"exp": int(now) - 3600}, EXPIRED),
    with_times("exp just past, within the grace", lambda now: {"exp": now - 30}, None),
    with_times("exp in milliseconds", lambda now: {"exp": int(now * 1000)}, BAD_CLAIMS),
    with_times("exp in milliseconds, long past", lambda now: {"exp": int((now - 86_400) * 1000)}, BAD_CLAIMS),
    with_times("exp in microseconds", lambda now: {"exp": int(now * 1_000_000)}, BAD_CLAIMS),
    with_times("exp in nanoseconds", lambda now: {"exp": int(now * 1_000_000_000)}, BAD_CLAIMS),
    with_times("exp in 101 years", lambda now: {"exp": int(now) + 101 * 31_557_600}, BAD_CLAIMS),
    with_times("exp in 99 years", lambda now: {"exp": int(now) + 99 * 31_557_600}, None),
    with_times("nbf ahead", lambda now: {"nbf": now + 120}, NOT_YET),
    with_times("nbf ahead, within the grace", lambda now: {"nbf": now + 30}, None),
    with_times("nbf in milliseconds", lambda now: {"nbf": int(now * 1000)}, NOT_YET),
    with_times("iat ahead", lambda now: {"iat": now + 120}, NOT_YET),
    with_times("iat in milliseconds", lambda now: {"iat": int(now * 1000)}, NOT_YET),
    with_times("iat ahead, within the grace", lambda now: {"iat": int(now) + 30}, None),
    with_times("exp past and nbf ahead", lambda now: {"exp": now - 120, "nbf": now + 120}, EXPIRED),
    with_times("exp past and iat text", lambda now: {"exp": now - 120, "iat": "now"}, BAD_CLAIMS),
    with_times("exp past and no user named", lambda now: {"exp": now - 120, "user": None}, EXPIRED),
]

_NO_IDS: list[tuple[str, object]] = [
    ("empty", ""),
    ("a space", " "),
    ("only white space", "\t\r\n \u00a0\u2003"),
    ("a float", 1.0),
    ("a float without a fraction", 1e3),
    ("true", True),
    ("false", False),
    ("an array", ["x"]),
    ("an object", {"id": "x"}),
    ("256 characters", "x" * 256),
    ("256 characters beyond the first plane", "\U0001f600" * 256),
    ("an integer of 256 digits", 10**255),
    ("an integer of 4000 digits", 10**3999),
    ("a negative integer of 255 digits", -(10**254)),
    ("NUL", "a\0b"),
    ("a newline at its end", "crm-42\n"),
    ("an escape sequence", "\x1b[31mred"),
    ("DEL", "a\x7f"),
    ("a C1 control character", "a\x85b"),
    ("a high surrogate", "a\ud800"),
    ("a low surrogate", "\udc00a"),
    ("surrogates the wrong way round", "\udc00\ud800"),
    *((repr(word), word) for word in ("undefined", "null", "none", "nil", "nan", "[object Object]")),
    *((repr(word), word) for word in ("UNDEFINED", "Null", "None", "NaN", "[OBJECT OBJECT]", " null", "NIL ")),
    *((repr(word), word) for word in ("<nil>", "(null)", "<null>", "(nil)", "<NA>", "#N/A", "%!s(<nil>)", "\\N")),
    *((repr(word), word) for word in ("[object Promise]", "[object Undefined]", "#<User:0x000055d0>", "#<Promise>")),
    *((repr(word), word) for word in ("<__main__.User object at 0x7f00>", "System.Object", "System.Guid[]")),
    *((repr(word), word) for word in ("%s", ":id", "${user.id}", "crm-${id}", "{{user.id}}", "#{user.id}")),
    *((repr(word), word) for word in ("<%= user.id %>", "%(id)s", "a-%(user_id)s")),
    ("right to left", "\u202eadmin"),
    ("a zero-width space", "\u200b"),
    ("a word joiner", "\u2060"),
    ("a Hangul filler", "\u3164"),
    ("an empty Braille cell", "\u2800"),
    ("variation selectors", "\ufe0f\ufe0f"),
    ("a tag character", "\U000e0041"),
    ("with a byte order mark before it", "\ufeff42"),
    ("with a zero-width space behind it", "42\u200b"),
    ("with a soft hyphen behind it", "42\u00ad"),
]

_ODD_IDS: list[tuple[str, object]] = [
    ("zero", 0),
    ("a negative integer", -5),
    ("an integer beyond 64 bits", 2**70),
    ("an integer of 255 digits", 10**254),
    ("255 characters", "y" * 255),
    ("255 characters beyond the first plane", "\U0001f600" * 255),
    ("with spaces around", " crm-42 "),
    ("not in NFC", "e\u0301"),
    ("with a zero-width joiner inside", "\U0001f469\u200d\U0001f680"),
    *((repr(word), word) for word in ("nil-42", "100%", "crm:42", "system.admin", "nullable", "Nan Goldin", "a:id")),
    *((repr(word), word) for word in ("none@example.com", "$42", "{42}", "#42", "<42>", "%42s", "object", "System")),
    ("an SQL injection", "'; DROP TABLE users; --"),
    ("markup", "<script>alert(1)</script>"),
    ("a word like undefined", "undefined1"),
    ("a private use character", "\ue000"),
]

IDS = [
    *(with_payload(f"user.id is {name}", {"user": {"id": value}}, BAD_CLAIMS) for name, value in _NO_IDS),
    *(with_payload(f"id is {name}", {"id": value}, BAD_CLAIMS) for name, value in _NO_IDS),
    *(with_payload(f"user.id is {name}", {"user": {"id": value}}, None) for name, value in _ODD_IDS),
    with_payload("user.id is an infinity", b'{"user":{"id":1e400}}', BAD_CLAIMS),
    with_payload("user.id is -0", b'{"user":{"id":-0.0}}', BAD_CLAIMS),
    with_payload("user.id is missing", {"user": {"email": "missing-id@example.com"}}, BAD_CLAIMS),
    with_payload("user.id is null", {"user": {"id": None}, "id": "x"}, BAD_CLAIMS),
    with_payload("user is empty", {"user": {}}, BAD_CLAIMS),
    *(
        with_payload(f"user is {user_claim!r}", {"user": user_claim, "id": "x"}, BAD_CLAIMS)
        for user_claim in ("crm-42", "", 1, 0, True, False, [], [{"id": "x"}], 1.5)
    ),
    with_payload("no user is named", {}, BAD_CLAIMS),
    with_payload("every subject claim is null", {"user": None, "id": None, "email": None}, BAD_CLAIMS),
    with_payload("another library's names", {"sub": "x", "userId": "x", "User": {"id": "x"}}, BAD_CLAIMS),
    with_payload("user beside an id and an email that are wrong", {**user("wins"), "id": 1.5, "email": 3}, None),
]

_NO_EMAILS: list[tuple[str, object]] = [
    ("a number", 1),
    ("true", True),
    ("an array", ["a@example.com"]),
    ("an object", {"address": "a@example.com"}),
    ("without @", "ada.example.com"),
    ("with two @", "a@b@example.com"),
    ("without a local part", "@example.com"),
    ("without a domain", "ada@"),
    ("without a period in the domain", "ada@localhost"),
    ("with a domain of periods", "ada@.."),
    ("with a domain literal", "ada@[127.0.0.1]"),
    ("with a display name", "Ada <ada@example.com>"),
    ("quoted", '"ada lovelace"@example.com'),
    ("with a comment", "ada(admin)@example.com"),
    ("two addresses", "ada@example.com,eve@evil.example"),
    ("with a header injected", "ada@example.com\r\nBcc: eve@evil.example"),
    ("with a space inside", "ada lovelace@example.com"),
    ("with NUL", "ada\0@example.com"),
    ("with a surrogate", "ada\ud800@example.com"),
    ("right to left", "\u202eada@example.com"),
    ("with a zero-width space", "ada\u200b@example.com"),
    ("with a Hangul filler", "ada\u3164@example.com"),
    ("with a soft hyphen", "a\u00adda@example.com"),
    ("with a variation selector", "ada\ufe0f@example.com"),
    ("with a full-width @", "ada\uff20example.com"),
    ("with a broken A-label", "ada@xn--\u00fc.example"),
    ("with an invalid A-label", "ada@xn--a.example"),
    ("with an underscore in the domain", "ada@my_host.example"),
    ("of 255 characters", "a" * 64 + "@" + ("b" * 60 + ".") * 3 + "x" * 7),
    ("of 5000 characters", "a" * 5000),
]

_EMPTY_EMAILS: list[tuple[str, object]] = [("empty", ""), ("white space", " \t "), ("a no-break space", "\u00a0")]

EMAILS = [
    *(with_payload(f"email is {name}", {"email": value}, BAD_CLAIMS) for name, value in [*_NO_EMAILS, *_EMPTY_EMAILS]),
    *(with_payload(f"user.email is {name}", {"user": {"id": "e", "email": v}}, BAD_CLAIMS) for name, v in _NO_EMAILS),
    *(
        with_payload(f"user.email is {name}", {"user": {"id": f"email {name}", "email": value}}, None)
        for name, value in _EMPTY_EMAILS
    ),
    *(
        with_payload(f"user.email is {name}", {"user": {"id": f"email {name}", "email": value}}, None)
        for name, value in [
            ("null", None),
            ("of a .local domain", "local@intra.local"),
            ("of a .test domain", "test@intra.test"),
            ("with white space around", " \tAROUND@Example.COM\n"),
            ("international", "J\u00d6RG@B\u00dcCHER.example"),
            ("not in NFC", "rene\u0301@example.com"),
            ("of 254 characters", "a" * 64 + "@" + ("b" * 60 + ".") * 3 + "x" * 6),
        ]
    ),
]


def _levels(count: int) -> object:
    """A value that, as a member of `user`, makes metadata of so many levels: the metadata object is the first."""
    value: object = 1
    for _ in range(count - 1):
        value = {"deeper": value} if count % 2 else [value]
    return value


def _metadata(name: str, metadata: dict[str, object], expected: SignInErrorCode | None) -> HostileCode:
    return with_payload(f"metadata {name}", {"user": {"id": f"metadata {name}", **metadata}}, expected)


METADATA = [
    _metadata("of 8 levels of arrays", {"m": _levels(8)}, None),
    _metadata("of 9 levels of objects", {"m": _levels(9)}, BAD_CLAIMS),
    _metadata("of 10 levels of arrays", {"m": _levels(10)}, BAD_CLAIMS),
    _metadata("of 9 levels, the last one empty", {"m": [[[[[[[{}]]]]]]]}, BAD_CLAIMS),
    _metadata("of 60 levels", {"m": _levels(60)}, BAD_CLAIMS),
    _metadata("of 500 levels", {"m": _levels(500)}, BAD_CLAIMS),
    _metadata("with a surrogate", {"m": "\ud800"}, BAD_CLAIMS),
    _metadata("with a surrogate deep inside", {"m": [{"a": ["\udfff"]}]}, BAD_CLAIMS),
    _metadata("with a surrogate in a name", {"\ud800": 1}, BAD_CLAIMS),
    _metadata("with a surrogate in a name deep inside", {"m": {"a": {"\ud800": 1}}}, BAD_CLAIMS),
    _metadata("with NUL", {"m": "\0"}, None),
    _metadata("with NUL in a name", {"\0": 1}, None),
    with_payload("metadata with an infinity", b'{"user":{"id":"x","m":[1e400]}}', BAD_CLAIMS),
    with_payload("metadata with NaN", b'{"user":{"id":"x","m":NaN}}', MALFORMED),
    _metadata("with names that mean something", {"__proto__": {"admin": True}, "role": "ADMIN", "": None}, None),
    _metadata("with a backslash and u0000", {"m": "\\u0000"}, None),
    _metadata("with an integer beyond 64 bits", {"m": 2**70}, None),
    _metadata("beyond the first plane", {"\U0001f600": "\U0001f469\u200d\U0001f680"}, None),
]
