"""Values that no setting may have: each has to stop the start."""

from cryptography.fernet import Fernet

KEY = Fernet.generate_key().decode()

WRONG_ANYWHERE = ('"x"', "'quoted'", "line\nbreak", "a\u200bb", "nul\x00")
"""Wrong in each setting: quotation marks that no shell took away, and characters that are not visible."""

WRONG_VALUES: dict[str, list[str]] = {
    "DATA_DIR": ["/etc/passwd", "/etc/passwd/data", "/dev/null", "~/data", "$HOME/data", "${HOME}/data", "x" * 300],
    "DATABASE_URL": [
        *("x", "sqlite", "sqlite:x.db", "sqlite://", "sqlite://:memory:", "sqlite:///etc", "sqlite:///data/"),
        *(
            "sqlite://~/x.db",
            "sqlite://$HOME/x.db",
            "sqlite://x.db?mode=ro",
            "sqlite://x.db#a",
            "sqlite://" + "x" * 300,
        ),
        *("mysql://localhost/x", "http://localhost/x", "postgres+asyncpg://localhost/x"),
        *("postgres://localhost", "postgres://localhost:port/x", "postgres://localhost:99999/x"),
        *("postgres://localhost:0/x", "postgres://[::1/x", "postgres://user:pass/word@localhost/x"),
        *("postgres://us er/x", "postgres://a b:5432/x", "postgres://localhost/x#y", "postgres://u:100%@localhost/x"),
        "postgres://localhost/x?sslrootcert=/nowhere",
    ],
    "DATABASE_WAIT": ["-1", "x", "1m", "0.5", "86401"],
    "ENCRYPTION_KEYS": ["x", "x" * 44, KEY[:-2], f"{KEY},x", KEY.replace("=", ""), ",", f"{KEY},{KEY}"],
    "PUBLIC_URL": [
        *("x", "id.example.com", "ftp://x", "https://", "https://x/path", "https://x?y", "https://x#y", "https://x/?"),
        *("https://a:b@x", "https://@x", "https://x:port", "https://[::1", "https://x:99999", "https://x:0"),
        *("https://exa mple.com", "https://a..b", 'https://example.com"><script>', "https://-a.example"),
        *("https://192.168.1.300", "https://1.2.3", "https://0.0.0.0", "https://[::]", f"https://{'a' * 64}.example"),
    ],
    "INSECURE_HTTP": ["maybe", "2"],
    "APP_URL": [
        *("x", "javascript:alert(1)", "https://", "https://x?y", "https://x#y", "https://x:port", "//x", "https://@x/"),
        *("https://exa mple.com/", "https://a..b/", "https://x:0/", "https://x/a b", "https://x/{a}", "https://*.x/"),
        *("https://0.0.0.0/", "https:\\\\x", "https://x/?"),
    ],
    "ALLOWED_ORIGINS": [
        *("*", "null", "https://x/path", "https://a.example,x", "https://*.example.com/", ",", "https://x:*"),
        *("https://a.example https://b.example", "https://a.example;https://b.example", "https://0.0.0.0"),
    ],
    "COOKIE_DOMAIN": [
        *("com", "https://example.com", "example.com:443", ".", "0.0.1", "a b.com", "localhost", "*.example.com"),
    ],
    "ACCESS_TOKEN_AUDIENCE": ["x" * 256],
    "SESSION_LIFETIME": ["0", "-1", "x", "1.5", "1e9", "60s", "1h", str(401 * 86_400)],
    "ADMIN_SESSION_LIFETIME": ["0", "299", "x", "34560001"],
    "ADMIN_IDLE_TIMEOUT": ["0", "599", "x", "34560001"],
    "SESSIONS_PER_USER": ["0", "-1", "x", "10001"],
    "ANSWER_TIMEOUT": ["0", "1", "301", "x", "1.5"],
    "ACCESS_TOKEN_LIFETIME": ["0", "x", "86401", "-600"],
    "SMTP_URL": [
        *("x", "smtp://", "http://localhost", "smtp://localhost:port", "smtp://localhost:0", "smtp://host:25/path"),
        *("smtp://user:p@ss/w@host", "smtp://user:p@ss?w@host", "smtp://user:p@ss#w@host", "smtp://u:100%@host"),
        *("smtp://user@host", "smtp://:password@host", "smtp://user:@host", "smtp://@host"),
        *("smtp://exa mple", "smtp://a..b", "smtp://first,second", "smtp://host;x"),
    ],
    "MAIL_FROM": [
        *("x", "a@b@c", "a\nBcc: b@example.com", "a@", "@b", "a@b,c@d", "<>", "a@b..c", "a@-b.com", "a b@example.com"),
    ],
    "RATE_LIMIT_URL": [
        *("x", "memory", "memory://x", "http://localhost", "redis://localhost:port/0", "redis://localhost:0/0"),
        *("redis://:p@ss/w@host/0", "redis://", "redis:///0", "redis://exa mple/0", "redis://first,second/0"),
        *("redis://host/0?x=y", "redis://host/0#a", "redis://:100%@host/0"),
    ],
    "FAILED_SIGN_INS": [
        *("x", "60", "minute", "60/fortnight", "-1/minute", "0/minute", "5/minute;10/hour", "1.5/minute"),
        *("99999999999999999999/minute", "60/99999999999999 year"),
    ],
    "TRUSTED_PROXIES": [
        *("x", "10.0.0.0/33", "proxy.example.com", "10.0.0.1,x", "10.0.0.1:80", ",", "0.0.0.0", "::", "224.0.0.1"),
        *("0.0.0.0/0", "::/0", "10.0.0.1, 0.0.0.0/0", "1.2.3.4/0", "::ffff:0:0/96", "255.255.255.255"),
        *("0.0.0.0/1,128.0.0.0/1", "::/1,8000::/1", "0.0.0.0/1,::ffff:128.0.0.0/97"),
    ],
    "INTROSPECTION": ["maybe", "2", "disabled"],
    "GUIDE": ["maybe", "none"],
    "METRICS_TOKEN": ["t\u00f6k" * 9, "two words of a token", "x", "x" * 15, "tok,en;tok,en;tok", "Bearer " + "x" * 32],
    "LOG_FORMAT": ["xml", "JSONL", "text"],
    "OTLP_URL": [
        "x",
        "127.0.0.1:4318",
        "http://127.0.0.1:4318",
        "grpc://host/x",
        "http://a:b@host/v1/traces",
        "http://h:port/v1",
    ],
    "AUDIT_STREAM": ["stderr", "on", "1", "/dev/stdout", "stdout,stderr"],
    "AUDIT_RETENTION": ["0", "-1", "off", "90 days", "36501"],
    "REFUSAL_RETENTION": ["0", "31", "x"],
    "USED_CODE_RETENTION": ["0", "x"],
    "SEAT_RETENTION": ["0", "x"],
}
"""Wrong values of each setting, by its name without the prefix."""
