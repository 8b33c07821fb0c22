"""IDs are accepted unchanged or refused; emails have one normal form; every refusal is a `ValueError`."""

import unicodedata
from contextlib import suppress
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.accounts.identifiers import is_service_made, normalise_email, parse_user_id
from service.accounts.implausible_ids import has_invisible_characters
from service.text import find_unsafe_characters, name_type

ANY_TEXT = st.text(st.characters())  # lone surrogates and NUL too


@pytest.mark.parametrize(
    "user_id",
    [
        "crm-42",
        " crm-42 ",
        "e\u0301",
        "A",
        "0",
        "a\u200bb",
        "x" * 255,
        "\U0001f600" * 255,
        "undefined1",
        "usr_1",
    ],
)
def test_id_is_taken_exactly_as_it_is(user_id: str) -> None:
    assert parse_user_id(user_id) == user_id


@pytest.mark.parametrize(
    ("number", "digits"),
    [(1234, "1234"), (0, "0"), (-5, "-5"), (2**70, "1180591620717411303424"), (10**254, "1" + "0" * 254)],
)
def test_integer_id_is_its_decimal_digits(number: int, digits: str) -> None:
    assert parse_user_id(number) == digits


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is empty"),
        (" \t\u00a0\u2003", "is only white space"),
        ("x" * 256, "is longer than 255 characters"),
        ("\U0001f600" * 256, "is longer than 255 characters"),
        (10**255, "is longer than 255 characters"),
        (-(10**254), "is longer than 255 characters"),
        ("a\0b", "has control characters"),
        ("crm-42\n", "has control characters"),
        ("\x7f", "has control characters"),
        ("a\x9f", "has control characters"),
        ("a\ud800", "has a lone surrogate, which is half a character"),
        (1.0, "is a float, and must be a string or an integer"),
        (float("nan"), "is a float, and must be a string or an integer"),
        (True, "is a boolean, and must be a string or an integer"),
        (False, "is a boolean, and must be a string or an integer"),
        (None, "is null, and must be a string or an integer"),
        ([1], "is an array, and must be a string or an integer"),
        ({"id": 1}, "is an object, and must be a string or an integer"),
        (b"x", "is of another type, and must be a string or an integer"),
    ],
)
def test_id_that_cannot_be_is_refused_with_the_reason(value: object, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_user_id(value)
    assert str(refused.value) == reason


def test_unsafe_characters_are_unicode_s_control_characters_and_surrogates_and_no_others() -> None:
    unsafe = {character for character in map(chr, range(0x11000)) if find_unsafe_characters(f"a{character}b")}
    assert unsafe == {character for character in map(chr, range(0x11000)) if category(character) in {"Cc", "Cs"}}


def test_id_of_more_digits_than_python_writes_is_too_long() -> None:
    for number in (10**5000, -(10**5000)):
        with pytest.raises(ValueError, match="is longer than 255 characters"):
            parse_user_id(number)


@pytest.mark.parametrize("word", ["undefined", "null", "none", "nil", "nan", "<nil>", "(null)"])
def test_words_for_nothing_are_refused_in_any_case(word: str) -> None:
    for spelling in (word, word.upper(), word.title(), word.lower()):
        with pytest.raises(ValueError, match="is a word for a missing value"):
            parse_user_id(spelling)


@given(ANY_TEXT | st.integers() | st.floats() | st.none() | st.booleans())
def test_every_id_that_is_taken_can_be_stored_and_taken_again(value: object) -> None:
    try:
        user_id = parse_user_id(value)
    except ValueError:
        return
    assert 1 <= len(user_id) <= 255
    assert not {category(character) for character in user_id} & {"Cc", "Cs"}
    assert user_id.encode()
    assert parse_user_id(user_id) == user_id == str(value)


def test_service_made_ids_are_known_by_their_prefix() -> None:
    assert is_service_made("usr_01J")
    assert not is_service_made("USR_01J")
    assert not is_service_made("crm-usr_")


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("ada@example.com", "ada@example.com"),
        (" \t\nAda@Example.COM\r\n", "ada@example.com"),
        ("a@b.c", "a@b.c"),
        ("ada@intra.local", "ada@intra.local"),
        ("ada@intra.test", "ada@intra.test"),
        ("nobody@crm.invalid", "nobody@crm.invalid"),
        ("ada+tag@example.com", "ada+tag@example.com"),
        ("rene\u0301@example.com", "ren\u00e9@example.com"),
        ("REN\u00c9@example.com", "ren\u00e9@example.com"),
        ("J\u00d6RG@B\u00dcCHER.example", "j\u00f6rg@xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"),
        ("a@stra\u00dfe.example", "a@xn--strae-oqa.example"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
        ("a@example\u3002com", "a@example.com"),
        ("a@\uff45xample.com", "a@example.com"),
        ("\u0130@example.com", "i\u0307@example.com"),
        ("a" * 64 + "@" + ("b" * 60 + ".") * 3 + "x" * 6, "a" * 64 + "@" + ("b" * 60 + ".") * 3 + "x" * 6),
    ],
)
def test_email_has_one_normal_form(text: str, email: str) -> None:
    assert normalise_email(text) == email
    assert normalise_email(email) == email


MALFORMED = "is not a well-formed email address"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is null, and must be a string"),
        (1, "is an integer, and must be a string"),
        (b"a@b.c", "is of another type, and must be a string"),
        ("", "is empty"),
        (" \n", "is empty"),
        ("ada@localhost", "has a domain without a period"),
        ("a" * 300 + "@example.com", "is longer than 254 characters"),
        ("a\0@example.com", "has control characters"),
        ("a@example.com\r\nBcc: b@example.com", "has control characters"),
        ("a\ud800@example.com", "has a lone surrogate, which is half a character"),
        ("ada", MALFORMED),
        ("ada@", MALFORMED),
        ("@example.com", MALFORMED),
        ("a@b@example.com", MALFORMED),
        ("a@example..com", MALFORMED),
        ("a@-example.com", MALFORMED),
        ("a@my_host.com", MALFORMED),
        ("a@[127.0.0.1]", MALFORMED),
        ('"a b"@example.com', MALFORMED),
        ("Ada <ada@example.com>", MALFORMED),
        ("a b@example.com", MALFORMED),
        ("\u202ea@example.com", MALFORMED),
        ("a@xn--a.example", MALFORMED),
        ("a" * 64 + "@" + ("b" * 60 + ".") * 3 + "x" * 7, "is longer than 254 characters"),
        ("\u00e9" * 127 + "@b.c", MALFORMED),
        ("a@" + "\u00fc" * 100 + ".example", MALFORMED),
        ("a@" + "b" * 64 + ".example", MALFORMED),
        ("a@b." + "c" * 64, MALFORMED),
        ("a" * 65 + "@example.com", MALFORMED),  # RFC 5321, 4.5.3.1.1
    ],
)
def test_email_that_cannot_be_is_refused_with_the_reason(value: object, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        normalise_email(value)
    assert str(refused.value) == reason
    assert refused.value.__cause__ is None


def test_huge_email_is_refused_before_any_work() -> None:
    for text in ("a" * 1_000_000, "e\u0301" * 5_000, "@" * 5_000):
        with pytest.raises(ValueError, match="is longer than 254 characters"):
            normalise_email(text)


PARTS = st.text(st.characters(), min_size=1, max_size=20)
DOMAINS = st.builds("{}.{}".format, PARTS, st.sampled_from(["com", "local", "xn--p1ai", "\u0440\u0444"]) | PARTS)


@given(ANY_TEXT | st.builds("{}@{}".format, PARTS, DOMAINS) | st.emails())
@example("\u1e9e\u03a3@\u0130.\u1e9e")
@example("A\u0345\u03a3@a.de")
def test_normalising_again_changes_nothing_and_nothing_but_a_value_error_is_raised(text: str) -> None:
    try:
        email = normalise_email(text)
    except ValueError:
        return
    assert normalise_email(email) == email
    assert email == email.strip().lower() == unicodedata.normalize("NFC", email)
    assert len(email) <= 254
    domain = email.rpartition("@")[2]
    assert domain.isascii()
    assert "." in domain


@given(st.builds("xyzzy{}xyzzy@{}".format, PARTS, DOMAINS))
def test_no_reason_repeats_the_address(text: str) -> None:
    with suppress(ValueError):
        normalise_email(text)
        return
    with pytest.raises(ValueError, match=r"^(?!.*xyzzy)[^@]+$"):
        normalise_email(text)


@given(st.emails())
def test_spellings_of_one_email_are_one_person(email: str) -> None:
    try:
        normal = normalise_email(email)
    except ValueError:
        return
    assert normalise_email(f" {email.upper()} ") == normal


def test_every_json_type_has_a_name() -> None:
    values: list[object] = [None, True, 1, 1.5, "", [], {}]
    names = ["null", "a boolean", "an integer", "a float", "a string", "an array", "an object"]
    assert [name_type(value) for value in values] == names


INVISIBLE = [chr(code) for code in range(0x80, 0x110000) if has_invisible_characters(chr(code))]
NAMED = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u200b\u200d\u200e\u202e\u2060\u2800\u3164\ufe0f\ufeff\uffa0\U000e0041"


def test_characters_that_no_font_shows_are_refused_in_a_local_part() -> None:
    assert set(NAMED) <= set(INVISIBLE)
    for character in INVISIBLE:
        for text in (f"a{character}b@example.com", f"{character}ab@example.com", f"ab{character}@example.com"):
            with pytest.raises(ValueError, match=r"is not a well-formed|has invisible|has control"):
                normalise_email(text)


def test_no_space_and_no_unassigned_character_is_accepted_in_a_local_part() -> None:
    for code in range(0x80, 0x20000):
        if unicodedata.category(chr(code))[0] in "ZC" and not 0xD800 <= code <= 0xDFFF:
            with pytest.raises(ValueError, match=r"^is |^has "):
                normalise_email(f"a{chr(code)}b@example.com")
