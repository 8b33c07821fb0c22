"""`/guide` (contract §5): HTML and Markdown with the addresses of this instance, for `GET` and `HEAD`, and 404 if it is off."""

import re
from collections.abc import Callable

import httpx2
import pytest

from service.settings import Settings
from service.web.guide.chapters import CHAPTERS, INDEX, PICTURES, read_chapter
from tests.site import Site
from tests.web.conftest import APP, PUBLIC

PAGES = ["/guide", *(f"/guide/{name}" for name in CHAPTERS)]
TEXTS = [*(f"/guide/{name}.md" for name in (INDEX, *CHAPTERS)), "/llms.txt"]


def get(site: Site, path: str, **headers: str) -> httpx2.Response:
    return httpx2.get(f"{site.server.url}{path}", headers=headers)


@pytest.mark.parametrize("path", PAGES)
def test_page_is_html_with_the_strict_headers(sqlite_site: Site, path: str) -> None:
    response = get(sqlite_site, path)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers.get_list("cache-control") == ["no-cache"]
    assert response.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'; img-src 'self';"
    )
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in response.text
    assert " style=" not in response.text


@pytest.mark.parametrize("path", TEXTS)
def test_text_is_markdown_without_markers_or_notes(sqlite_site: Site, path: str) -> None:
    response = get(sqlite_site, path)

    assert response.status_code == 200
    expected = "text/plain" if path == "/llms.txt" else "text/markdown"
    assert response.headers["content-type"] == f"{expected}; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.text.startswith("# ")
    assert "(samples/" not in response.text
    assert "<!--" not in response.text


@pytest.mark.parametrize("path", [*PAGES, *TEXTS])
def test_instance_puts_its_own_addresses_everywhere(secure_site: Site, path: str) -> None:
    # A proxy finds Doorcode at this address, whatever the instance is called.
    text = get(secure_site, path).text.replace("proxy_pass http://127.0.0.1:8000", "")

    for example in ("auth.example.com", "chat.example.com", "app.example.com", "http://127.0.0.1:8000"):
        assert example not in text


def test_samples_have_the_addresses_of_the_instance(secure_site: Site) -> None:
    text = get(secure_site, "/guide/web-page.md").text

    assert f'src="{PUBLIC}/widget.js"' in text
    assert f'const DOORCODE = "{PUBLIC}";' in text
    assert f"DOORCODE_PUBLIC_URL={PUBLIC}\nDOORCODE_APP_URL={PUBLIC}/\nDOORCODE_COOKIE_DOMAIN=example.test\n" in text
    assert "    server_name id.example.test;\n" in text
    assert "        proxy_pass http://127.0.0.1:8000;\n" in text
    assert f'const DOORCODE = "{PUBLIC}";' in get(secure_site, "/guide/frontend.md").text
    assert f"curl -sS {PUBLIC}/graphql" in get(secure_site, "/guide/integrator.md").text


def test_application_has_its_own_address_in_the_samples(app_site: Site) -> None:
    text = get(app_site, "/guide/web-page.md").text

    assert f"DOORCODE_APP_URL={APP}/start\n" in text
    assert f"DOORCODE_ALLOWED_ORIGINS={APP}\n" in text
    assert "server_name app.example.test;" in text


def test_address_that_contains_an_example_is_filled_in_once() -> None:
    settings = Settings(public_url="https://my-auth.example.com", app_url="https://my-app.example.com/")
    text = read_chapter("web-page", settings).markdown

    assert 'src="https://my-auth.example.com/widget.js"' in text
    assert "my-my-" not in text


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_leads_to_a_page_and_a_section(sqlite_site: Site, path: str) -> None:
    links = {link for link in re.findall(r'href="([^"]+)"', get(sqlite_site, path).text) if "://" not in link}

    assert any(link.startswith("#") for link in links)
    for link in links:
        target, _, anchor = link.partition("#")
        response = get(sqlite_site, target or path)
        assert response.status_code == 200, link
        assert not anchor or f'id="{anchor}"' in response.text, link


def test_page_lists_its_sections(sqlite_site: Site) -> None:
    text = get(sqlite_site, "/guide/contract").text
    contents = re.findall(r'<li><a href="#([^"]+)">', text.partition("</nav>\n<details")[0])

    assert contents == re.findall(r'<h2 id="([^"]+)">', text)
    assert contents[0] == "1-the-externalauthcode"


def test_html_in_the_text_is_shown_and_not_obeyed(sqlite_site: Site) -> None:
    assert "&lt;script defer data-external-auth-code=" in get(sqlite_site, "/guide/web-page").text


def test_diagram_is_readable_without_a_script(sqlite_site: Site) -> None:
    assert '<code class="language-mermaid">sequenceDiagram\n' in get(sqlite_site, "/guide").text


def test_list_for_models_links_to_every_chapter_with_a_summary(secure_site: Site) -> None:
    lines = get(secure_site, "/llms.txt").text.split("\n")

    assert lines[0] == "# Doorcode"
    assert lines[2].startswith("> Doorcode is a self-hosted GraphQL identity service.")
    links = [re.fullmatch(r"- \[[^]]+\]\((\S+)\): .+\.", line) for line in lines if line.startswith("- ")]
    assert [link and link[1] for link in links] == [f"{PUBLIC}/guide/{name}.md" for name in CHAPTERS]


@pytest.mark.parametrize("path", ["/guide", "/guide/admin", "/guide/admin.md", "/llms.txt"])
def test_known_version_is_not_sent_again(sqlite_site: Site, path: str) -> None:
    first = get(sqlite_site, path)
    again = get(sqlite_site, path, **{"If-None-Match": first.headers["etag"]})
    head = httpx2.head(f"{sqlite_site.server.url}{path}")

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(first.content))
    assert get(sqlite_site, path, **{"If-None-Match": '"another"'}).content == first.content


@pytest.mark.parametrize("path", ["/guide", "/guide/admin", "/guide/admin.md", "/llms.txt"])
def test_other_methods_are_refused(sqlite_site: Site, path: str) -> None:
    response = httpx2.post(f"{sqlite_site.server.url}{path}")

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "path", ["/guide/", "/guide/index", "/guide/nothing", "/guide/nothing.md", "/guide/samples", "/guide/..%2fapp.md"]
)
def test_unknown_page_is_not_found(sqlite_site: Site, path: str) -> None:
    assert get(sqlite_site, path).status_code == 404


@pytest.fixture(scope="module")
def site_without_guide(open_site: Callable[..., Site]) -> Site:
    return open_site(DOORCODE_GUIDE="off")


@pytest.mark.parametrize("path", [*PAGES, *TEXTS])
def test_guide_that_is_off_is_not_found(site_without_guide: Site, path: str) -> None:
    assert get(site_without_guide, path).status_code == 404


def test_pictures_are_served_beside_the_chapters_that_show_them(sqlite_site: Site) -> None:
    with sqlite_site.client() as client:
        shown = set(re.findall(r'<img src="([^"]+\.svg)"', client.get("/guide/capacity").text))
        answers = [client.get(f"/guide/{name}.svg") for name in PICTURES]
        assert client.get("/guide/secrets.svg").status_code == 404

    assert shown == {f"{name}.svg" for name in PICTURES}
    assert [answer.headers["content-type"] for answer in answers] == ["image/svg+xml"]
    assert all(answer.text.startswith("<svg ") for answer in answers)
