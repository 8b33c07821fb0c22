"""Probes, metrics and public keys (contract §5)."""

import math
import re

import httpx2
import jwt
import pytest
from starlette.requests import Request

from service.accounts.seats import count_seats, set_seat_limit
from service.sessions.access_tokens import issue_access_token, rotate_signing_key
from service.sessions.lifecycle import LiveSession, find_session
from service.settings import Settings
from service.web import probes
from tests.actions import TESTER
from tests.routes import all_routes
from tests.site import Site, new_user_id, set_cookies
from tests.web.conftest import METRICS_TOKEN


def sample(text: str, name: str) -> float:
    """The value of the only sample that begins like this."""
    [value] = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(value)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_answers_ok(site: Site, client: httpx2.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.text) == (200, "ok\n")
    assert response.headers["cache-control"] == "no-store"
    assert client.head(path).status_code == 200


def test_metrics_count_sign_ins_refusals_and_seats(site: Site, client: httpx2.Client) -> None:
    new = 'doorcode_sign_ins_total{method="EXTERNAL_JWT",result="new"}'
    refused = 'doorcode_sign_in_refusals_total{code="MALFORMED_CODE"}'
    client.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
    client.get("/", params={"externalAuthCode": "x"})
    before = client.get("/metrics").text
    client.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
    client.get("/", params={"externalAuthCode": "x"})
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert sample(response.text, new) >= sample(before, new) + 1
    assert sample(response.text, refused) == sample(before, refused) + 1
    assert sample(response.text, "doorcode_seats_used") == site.call(lambda _: count_seats()).used
    assert math.isnan(sample(response.text, "doorcode_seats_limit"))


def test_metrics_count_exchanges_sessions_and_writes(site: Site, client: httpx2.Client) -> None:
    before = client.get("/metrics").text
    client.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
    client.get("/", params={"externalAuthCode": "x"})
    after = client.get("/metrics").text
    for result in ("accepted", "refused"):
        name = f'doorcode_exchange_seconds_count{{result="{result}"}}'
        assert sample(after, name) == sample(before, name) + 1
    shared = "doorcode_group_commit_writes_sum" if site.settings.uses_sqlite else "doorcode_batch_requests_sum"
    assert sample(after, shared) > sample(before, shared)
    assert sample(after, "doorcode_sessions") >= 0
    assert sample(after, "doorcode_mails_waiting") == 0
    assert sample(after, "doorcode_purge_completed_timestamp_seconds") > 1.7e9
    assert sample(after, 'doorcode_jwt_secret_last_used_timestamp_seconds{status="CURRENT"}') > 1.7e9
    assert ("doorcode_database_connections{" in after) is not site.settings.uses_sqlite
    assert "_created" not in after


def test_metrics_tell_the_seat_limit(site: Site, client: httpx2.Client) -> None:
    site.call(lambda _: set_seat_limit(123_456, TESTER))
    assert sample(client.get("/metrics").text, "doorcode_seats_limit") == 123_456
    site.call(lambda _: set_seat_limit(None, TESTER))


def test_labels_are_as_many_as_routes_whatever_strangers_ask_for(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        for number in range(20):
            client.get(f"/{new_user_id()}")
            client.get(f"/static/{new_user_id()}")
            client.get("/", params={"externalAuthCode": f"{number}"})
            client.request("PROPFIND", "/login")
        text = client.get("/metrics").text
    routes = set(re.findall(r'route="([^"]*)"', text))
    assert routes <= {
        "none",
        *(route.path for route in all_routes()),
    }
    assert {"none", "/", "/login", "/static/{name:path}"} <= routes


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 404),
        ("Bearer", 404),
        ("Bearer wrong", 404),
        (f"Basic {METRICS_TOKEN}", 404),
        (METRICS_TOKEN, 404),
        (f"Bearer {METRICS_TOKEN}x", 404),
        (f"Bearer {METRICS_TOKEN}", 200),
        (f"bearer  {METRICS_TOKEN}", 200),
        ("Bearer \xff", 404),
    ],
)
def test_metrics_are_not_there_for_strangers(secure_site: Site, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
    with secure_site.client() as client:
        response = client.get("/metrics", headers=headers)
        assert response.status_code == status
        if status == 404:
            nowhere = client.get("/nowhere")
            assert (response.text, response.headers.keys()) == (nowhere.text, nowhere.headers.keys())


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer None"])
def test_metrics_are_nobodys_where_there_is_no_token(authorization: str) -> None:
    request = Request({"type": "http", "headers": [(b"authorization", authorization.encode())]})
    assert not probes._may_read_metrics(request, Settings(public_url="https://id.example.test"))
    assert probes._may_read_metrics(request, Settings(public_url="http://localhost:8000"))


def test_access_token_is_verified_with_the_published_keys(site: Site, client: httpx2.Client) -> None:
    signed_in = client.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
    session = site.call(lambda _: find_session(set_cookies(signed_in)["doorcode"][""]))
    assert isinstance(session, LiveSession)
    token = site.call(lambda instance: issue_access_token(session, site.settings, instance.cipher)).token
    published = client.get("/.well-known/jwks.json")
    assert published.headers["content-type"] == "application/json"
    keys = jwt.PyJWKSet.from_dict(published.json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key.key, algorithms=["ES256"], audience="doorcode", issuer=site.server.url)
    assert claims["sub"] == session.user.id
    assert all("d" not in published_key for published_key in published.json()["keys"])


def test_keys_may_be_kept_and_asked_for_again_from_anywhere(site: Site, client: httpx2.Client) -> None:
    first = client.get("/.well-known/jwks.json")
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["access-control-allow-origin"] == "*"
    etag = {"If-None-Match": f'"another", W/{first.headers["etag"]}'}
    again = client.get("/.well-known/jwks.json", headers=etag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "public, max-age=300"
    assert again.headers["access-control-allow-origin"] == "*"


def test_rotation_is_published_at_once(site: Site, client: httpx2.Client) -> None:
    before = client.get("/.well-known/jwks.json")
    kid = site.call(lambda instance: rotate_signing_key(instance.cipher, TESTER))
    after = client.get("/.well-known/jwks.json", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    kids = {key["kid"] for key in after.json()["keys"]}
    assert kids > {key["kid"] for key in before.json()["keys"]}
    assert kid in kids
