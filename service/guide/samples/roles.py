# Gives roles by the groups in X-Auth-Groups. Only the proxy may reach it.
from urllib.parse import unquote
from wsgiref.simple_server import make_server

ROLES = {"editors": "Editor", "staff": "Viewer"}  # the first group that a person is in decides


def application(environ, start_response):
    groups = [unquote(name) for name in environ.get("HTTP_X_AUTH_GROUPS", "").split(",")]
    role = next((role for group, role in ROLES.items() if group in groups), None)
    start_response("200 OK" if role else "403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{unquote(environ.get('HTTP_X_AUTH_USER_ID', ''))}: {role or 'no role'}\n".encode()]


if __name__ == "__main__":
    make_server("127.0.0.1", 3000, application).serve_forever()
