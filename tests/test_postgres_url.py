"""PostgreSQL URLs as hosting services hand them out, and as operators mistype them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.postgres_url import parse_postgres_url
from service.settings import SettingsError, load_settings

HOSTED = [
    "postgresql://u:p@ep-x-pooler.eu-central-1.aws.neon.tech/db?sslmode=require&channel_binding=require",
    "postgres://u:p@ep-x.neon.tech/db?sslmode=require&options=endpoint%3Dep-x",
    "postgresql://postgres.ref:p@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
    "postgres://u:p@ec2-1.compute-1.amazonaws.com:5432/db",
    "postgres://u:p@rds.amazonaws.com/db?sslmode=prefer&connect_timeout=10&target_session_attrs=read-write",
    "postgresql://u:p@pg-rw.default.svc,pg-ro.default.svc:5433/db?target_session_attrs=primary&gssencmode=disable",
    "postgres://u:p@[::1]:5433,10.0.0.1/db?keepalives=1&keepalives_idle=30&tcp_user_timeout=1000&application_name=x",
    "postgres:///db?host=/var/run/postgresql&user=u",
    "postgres://u@%2Fvar%2Frun%2Fpostgresql/db",
]


@pytest.mark.parametrize("url", HOSTED)
def test_url_of_a_hosting_service_is_taken(url: str) -> None:
    assert load_settings({"DOORCODE_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h/n", {"host": ["h"], "port": [5432], "user": "u", "password": "p", "database": "n"}),
        (
            "postgres://u%40x:p%2F%3A%23%3F%25%26%5B%40@h:1/n%20m",
            {"user": "u@x", "password": "p/:#?%&[@", "database": "n m"},
        ),
        ("postgres://u:p@x@h/n", {"host": ["h"], "user": "u", "password": "p@x"}),
        ("postgres://a:1,b,[::1]:3/n", {"host": ["a", "b", "::1"], "port": [1, 5432, 3]}),
        ("postgres:///n?host=a,b&port=1,2", {"host": ["a", "b"], "port": [1, 2]}),
        ("postgres:///n?host=a,b&port=9", {"host": ["a", "b"], "port": [9, 9]}),
        ("postgres://h:9/n?host=a", {"host": ["a"], "port": [9]}),
        ("postgres://h:9/n?host=a,b", {"host": ["a", "b"], "port": [9, 9]}),
        ("postgres://h:9/n?host=/var/run", {"host": ["/var/run"], "port": [9]}),
        ("postgres://u:p@:9/n?host=/var/run", {"host": ["/var/run"], "port": [9]}),
        ("postgres://h/n?host=/var/run", {"host": ["/var/run"], "port": [5432]}),
        ("postgres://h:9/n?port=8", {"host": ["h"], "port": [8]}),
        ("postgres://a:1,b:2/n?port=3,4", {"host": ["a", "b"], "port": [3, 4]}),
        ("postgres://a:1,b:2/n?host=c,d", {"host": ["c", "d"], "port": [1, 2]}),
        ("postgres://h:9/n?host=::1", {"host": ["::1"], "port": [9]}),
        ("postgres:///n?port=9", {"host": None, "port": [9]}),
        ("postgres:///n", {"host": None, "port": None}),
        ("postgres://%2Fvar%2Frun/n", {"host": ["/var/run"]}),
        ("postgres:///?dbname=n&user=u&password=p", {"host": None, "database": "n", "user": "u", "password": "p"}),
        ("postgres://h/n?connect_timeout=7", {"timeout": 7.0}),
        ("postgres://h/n?timeout=5", {"timeout": 5.0}),
        ("postgres://h/n?connect_timeout=0", {"timeout": 30.0}),
        ("postgres://h/n?pgbouncer=true", {"statement_cache_size": 0}),
        ("postgres://h/n?statement_cache_size=0", {"statement_cache_size": 0}),
        ("postgres://h/n", {"server_settings": {"application_name": "doorcode"}}),
        ("postgres://h/n?schema=my", {"server_settings": {"application_name": "doorcode", "search_path": '"my"'}}),
        (
            "postgres://h/n?options=-c%20a%3Db",
            {"server_settings": {"application_name": "doorcode", "options": "-c a=b"}},
        ),
        ("postgres://h/n?application_name=x", {"server_settings": {"application_name": "x"}}),
        ("postgres://h/n?sslmode=verify-full", {"dsn": "postgresql:///?sslmode=verify-full"}),
    ],
)
def test_parts_and_parameters_reach_the_driver(url: str, expected: Mapping[str, Any]) -> None:
    connect = parse_postgres_url(url).connect
    assert {name: connect.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://u:secret@h/n?sslmode=bogus", "sslmode must be one of"),
        ("postgres://u:secret@h/n?target_session_attrs=x", "target_session_attrs must be one of"),
        ("postgres://u:secret@h/n?target_session_attrs=standby", "target_session_attrs must be one of"),
        ("postgres://u:secret@h/n?target_session_attrs=prefer-standby", "target_session_attrs must be one of"),
        ("postgres://u:secret@h/n?gssencmode=require", "gssencmode must be one of"),
        ("postgres://u:secret@h/n?channel_binding=require", "channel_binding=require is not supported"),
        ("postgres://u:secret@h/n?channel_binding=require&sslmode=prefer", "channel_binding=require is not supported"),
        ("postgres://u:secret@h/n?client_encoding=latin1", "client_encoding must be one of"),
        ("postgres://u:secret@h/n?sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "there is no file /nowhere/ca.pem"),
        ("postgres://u:secret@h/n?sslcert=/nowhere/c.pem", "there is no file"),
        ("postgres://u:secret@h/n?foo=bar", "'foo' is not a parameter"),
        ("postgres://u:secret@h/n?command_timeout=x", "'command_timeout' is not a parameter"),
        ("postgres://u:secret@h/n?connect_timeout=soon", "connect_timeout must be a number"),
        ("postgres://u:secret@h/n?statement_cache_size=-1", "statement_cache_size must be a number"),
        ("postgres://u:secret@h:0/n", "the port must be a number"),
        ("postgres://u:secret@h:1,i:x/n", "the port must be a number"),
        ("postgres://u:secret@a,b/n?port=1,2,3", "there are 3 ports for 2 hosts"),
        ("postgres://u:secret@a:1,b:2/n?port=1,2,3", "there are 3 ports for 2 hosts"),
        ("postgres://u:secret@a:1,b:2/n?host=c,d,e", "there are 2 ports for 3 hosts"),
        ("postgres://u:secret@a,,b/n", "a host is missing"),
        ("postgres://u:x@b/secret@h/n", "the name of the database has a / or an @"),
        ("postgres://u:x/secret@h/n", ""),
        ("postgres://u:secret@h/n?port=x", "the port must be a number"),
        ("postgres://u:secret@h", "the name of the database is missing"),
        ("postgres://u:secret@[::1/n", ""),
        ("sqlite:///dir/a.db?mode=ro", "a SQLite URL has no parameters"),
    ],
)
def test_url_that_cannot_be_honoured_is_one_line_about_the_setting(url: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"DOORCODE_DATABASE_URL": url})
    line = str(refused.value)
    assert line.startswith("DOORCODE_DATABASE_URL: ")
    assert said in line
    assert "\n" not in line
    assert "secret" not in line


def test_certificates_of_the_system_are_used_where_the_url_says_so(tmp_path: Path) -> None:
    url = "postgres://h/n?sslmode=verify-full&sslrootcert=system"
    assert parse_postgres_url(url).connect["ssl"].check_hostname


def test_representation_does_not_show_the_password() -> None:
    assert "secret" not in repr(parse_postgres_url("postgres://u:secret@h/n"))
