"""The guide's application that gives roles by groups, behind real proxies: two people have two roles."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from tests.libraries.node import SAMPLES
from tests.processes import free_port
from tests.programs import Programs
from tests.proxies.proxy import START_DEADLINE, Proxy, caddy, nginx
from tests.proxies.test_forward_auth import ENVIRON, follow_link
from tests.site import Site, new_user_id

FORGED = ["X-Auth-Groups", "x-auth-groups", "X_Auth_Groups", "X-Auth_Groups", "x_auth-groups"]


@contextmanager
def roles(directory: Path) -> Iterator[int]:
    """The port at which the application listens."""
    port = free_port()
    program = directory / "roles.py"
    program.write_text((SAMPLES / "roles.py").read_text().replace("3000", str(port)))
    with (directory / "said").open("w") as said:
        process = subprocess.Popen([sys.executable, str(program)], stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + START_DEADLINE
        while not _listens(port):
            assert process.poll() is None, (directory / "said").read_text()
            assert time.monotonic() < deadline
        yield port
    finally:
        process.terminate()
        process.wait(START_DEADLINE)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    site = Site.open(directory, f"sqlite://{directory}/site.sqlite3", background, ENVIRON)
    yield site
    site.server.close()


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, site: Site, tmp_path: Path, programs: Programs) -> Iterator[Proxy]:
    programs.require(request.param)
    program, port = programs.path(request.param), free_port()
    with roles(tmp_path) as application:
        if request.param == "caddy":
            with caddy(program, port=port, doorcode=site.server.port, application=application, directory=tmp_path) as p:
                yield p
            return
        names = ("tls.nginx.conf", "forward-auth.nginx.conf")
        with nginx(
            program, *names, port=port, doorcode=site.server.port, application=application, directory=tmp_path
        ) as p:
            yield p


def test_two_people_have_two_roles_and_forged_headers_give_none(proxy: Proxy, site: Site) -> None:
    editor, viewer, guest = (new_user_id() for _ in range(3))
    with site.policy(groups_member="groups"), proxy.client("app.example.com") as browser:
        cookies = {
            user_id: follow_link(proxy, site, user_id, groups=groups)
            for user_id, groups in ((editor, ["staff", "editors"]), (viewer, ["staff"]), (guest, []))
        }
        assert browser.get("/", headers=cookies[editor]).text == f"{editor}: Editor\n"
        assert browser.get("/", headers=cookies[viewer]).text == f"{viewer}: Viewer\n"
        assert browser.get("/", headers=cookies[guest]).status_code == 403
        for name in FORGED:
            forged = browser.get("/", headers=[*cookies[viewer].items(), (name, "editors"), ("X-Auth-User-Id", editor)])
            assert forged.text == f"{viewer}: Viewer\n", name
        assert browser.get("/", headers={"X-Auth-Groups": "editors"}).status_code == 302
