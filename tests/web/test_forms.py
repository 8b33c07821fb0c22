"""Hostile forms: for any bytes the answer is a 4xx or a refusal, and is never slow."""

import time
from collections.abc import Iterator

import httpx2
import pytest
from starlette.datastructures import QueryParams

from service.web.forms import MAX_BODY, given_once
from tests.site import Site, new_user_id, parameters

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="externalAuthCode"\r\n\r\n%s\r\n--b--\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="externalAuthCode"; filename="x"\r\n\r\nx\r\n--b--\r\n'

UNREADABLE: list[tuple[int, str | None, bytes]] = [
    (415, None, b"externalAuthCode=x"),
    (415, "", b"externalAuthCode=x"),
    (415, "application/json", b'{"externalAuthCode": "x"}'),
    (415, "text/plain", b"externalAuthCode=x"),
    (415, "multipart/mixed; boundary=b", PART % b"x"),
    (415, f"{URLENCODED}; charset=utf-16", b"externalAuthCode=x"),
    (415, f"{MULTIPART}; charset=idna", PART % b"x\xff"),
    (415, f"{MULTIPART}; charset=undefined", PART % b"x"),
    (415, f"{MULTIPART}; charset=punycode", PART % (b"a" * 60_000)),
    (415, f"{MULTIPART}; charset=unicode_escape", PART % b"\\x"),
    (400, "multipart/form-data", PART % b"x"),
    (400, MULTIPART, b"\x00\xff" * 100),
    (400, MULTIPART, b"--b\r\n\r\nx\r\n--b--\r\n"),
    (400, MULTIPART, FILE),
    (400, MULTIPART, (PART[:-7] % b"x") * 30 + b"--b--\r\n"),
    (400, URLENCODED, b"&".join(b"a=b" for _ in range(30))),
    (413, URLENCODED, b"externalAuthCode=" + b"x" * MAX_BODY),
    (413, MULTIPART, PART % (b"x" * MAX_BODY)),
]


@pytest.mark.parametrize(("status", "content_type", "body"), UNREADABLE, ids=map(str, range(len(UNREADABLE))))
@pytest.mark.parametrize("path", ["/", "/login"])
def test_form_that_cannot_be_read_is_refused(
    sqlite_site: Site, path: str, status: int, content_type: str | None, body: bytes
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    with sqlite_site.client() as client:
        started = time.monotonic()
        response = client.post(path, content=body, headers=headers)
    assert response.status_code == status
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("path", ["/", "/login", "/logout"])
def test_body_without_an_end_is_refused_where_it_gets_too_long(sqlite_site: Site, path: str) -> None:
    def endless() -> Iterator[bytes]:
        yield b"externalAuthCode="
        for _ in range(40):
            yield b"x" * 4096

    headers = {"Content-Type": URLENCODED, "Sec-Fetch-Site": "same-origin"}
    with sqlite_site.client() as client:
        response = client.post(path, content=endless(), headers=headers)
    # Signing out reads no body.
    assert response.status_code == (303 if path == "/logout" else 413)


ODD = [
    (URLENCODED, b""),
    (URLENCODED, b"externalAuthCode"),
    (URLENCODED, b"externalAuthCode=%ff%fe%00"),
    (URLENCODED, b"externalAuthCode=\xff\xfe"),
    (URLENCODED, b"externalAuthCode=%"),
    (URLENCODED, b"&&&;;;==="),
    (URLENCODED, b"externalAuthCode[]=x"),
    (f"{URLENCODED}; charset=UTF-8", b"externalAuthCode=x"),
    (MULTIPART, PART % b"\xff\xfe\x00"),
    (MULTIPART, b""),
    (MULTIPART, b"--b--\r\n"),
    (MULTIPART, PART[:60]),
    (URLENCODED, b"externalAuthCode=" + b"x" * 60_000),
]


@pytest.mark.parametrize(("content_type", "body"), ODD, ids=map(str, range(len(ODD))))
def test_odd_code_is_refused_as_malformed(sqlite_site: Site, content_type: str, body: bytes) -> None:
    with sqlite_site.client() as client:
        response = client.post("/", content=body, headers={"Content-Type": content_type})
    assert response.status_code == 303
    assert parameters(response.headers["location"])["error"] == "MALFORMED_CODE"


@pytest.mark.parametrize(
    "query", ["%ff%fe", "%00", "%", "a" * 30_000, "&externalAuthCode=x", ".".join("abc"), "%F0%9F"]
)
def test_odd_code_in_a_link_is_refused_as_malformed(sqlite_site: Site, query: str) -> None:
    with sqlite_site.client() as client:
        response = client.get(f"/?externalAuthCode={query}&returnTo=%ff%00")
    assert response.status_code == 303
    assert parameters(response.headers["location"])["error"] == "MALFORMED_CODE"


def test_form_of_a_good_code_takes_any_spelling_of_its_type(site: Site, client: httpx2.Client) -> None:
    body = f"externalAuthCode={site.code_for(user_id := new_user_id())}&more=1"
    response = client.post("/", content=body, headers={"Content-Type": f'{URLENCODED.upper()} ; Charset="UTF-8"'})
    assert response.headers["location"] == "/"
    assert site.find(user_id) is not None


@pytest.mark.parametrize(
    ("query", "value"), [("", None), ("a=1", "1"), ("a=", ""), ("a=1&a=1", ""), ("a=1&b=2", "1"), ("A=1", None)]
)
def test_field_counts_where_it_was_given_once(query: str, value: str | None) -> None:
    assert given_once(QueryParams(query), "a") == value


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_compressed_form_is_not_understood(client: httpx2.Client, encoding: str) -> None:
    headers = {"Content-Type": URLENCODED, "Content-Encoding": encoding}
    assert client.post("/", content=b"\x1f\x8b", headers=headers).status_code == 415
