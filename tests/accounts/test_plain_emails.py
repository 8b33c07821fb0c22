"""An address that skips the library is one that the library would not change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.accounts.identifiers import _PLAIN_EMAIL, _normalise_trimmed_email, is_plain_email, normalise_email

_LABELS = st.text("abcxyz0189", min_size=1, max_size=20)
_WORDS = st.text("abcxyz0189_+-", min_size=1, max_size=20)


@given(
    st.lists(_WORDS, min_size=1, max_size=3), st.lists(_LABELS, min_size=1, max_size=3), st.text("abcxyz", min_size=2)
)
def test_plain_address_is_its_own_normal_form(local: list[str], labels: list[str], top: str) -> None:
    address = f"{'.'.join(local)}@{'.'.join([*labels, top])}"
    assert _PLAIN_EMAIL.fullmatch(address)
    if is_plain_email(address):
        assert _normalise_trimmed_email(address) == address


@given(st.from_regex(_PLAIN_EMAIL, fullmatch=True))
def test_whatever_looks_plain_is_its_own_normal_form(address: str) -> None:
    if is_plain_email(address):
        assert _normalise_trimmed_email(address) == address == normalise_email(address)


@pytest.mark.parametrize(
    "address",
    [
        "Ada@example.com",
        " ada@example.com",
        "ada@example.com\n",
        "ada@example",
        "ada@xn--bcher-kva.example",
        ".ada@example.com",
        "a..b@example.com",
        "ada@ex_ample.com",
        "ada@example.c0m",
        "ädä@example.com",
        f"{'a' * 60}@example.com",
    ],
)
def test_anything_else_goes_the_long_way(address: str) -> None:
    assert not is_plain_email(address)
