"""The page of code snippets: programs that sign a code, and three ways to use it, with this instance's address."""

from dataclasses import dataclass

from starlette.responses import Response

from service.web.admin.page import AdminPage
from service.web.guide.chapters import read_sample

SNIPPETS = "/admin/authentication/snippets"

_LANGUAGES = {
    "Node.js, jsonwebtoken": "sign-jsonwebtoken.mjs",
    "Node.js, jose": "sign-jose.mjs",
    "Python, PyJWT": "sign.py",
    "PHP": "sign.php",
    "Ruby": "sign.rb",
    "Go": "sign.go",
    "Java": "Sign.java",
    "C#": "Program.cs",
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text to copy. The guide shows the same programs, and the tests run them."""

    title: str
    text: str


_PROGRAMS = [Snippet(title, read_sample(name).rstrip()) for title, name in _LANGUAGES.items()]


async def show_snippets(admin_page: AdminPage) -> Response:
    """`GET /admin/authentication/snippets`."""
    seat_usage = (await admin_page.run("seat_usage"))["seatUsage"]
    ways = _ways_to_use(admin_page.settings.public_url)
    return admin_page.show("snippets.html", programs=_PROGRAMS, ways=ways, seat_usage=seat_usage)


def _ways_to_use(public_url: str) -> list[Snippet]:
    return [
        Snippet("A link", f"{public_url}/?externalAuthCode=XXXXXX&returnTo=/inbox"),
        Snippet("The widget", f'<script defer data-external-auth-code="XXXXXX" src="{public_url}/widget.js"></script>'),
        Snippet(
            "The GraphQL mutation",
            f"""curl {public_url}/graphql -H 'Content-Type: application/json' -d '{{
  "query": "mutation ($code: String!) {{ exchangeExternalAuthCode(externalAuthCode: $code) {{ __typename ... on SessionGrant """
            """{ token user { id email } } ... on SignInError { code message reference } } }",
  "variables": { "code": "XXXXXX" }
}'""",
        ),
    ]
