"""The page of code snippets: programs that print a sign-in link, three ways to use a code, and what is still missing.

The texts have the address and the origins of this instance.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.responses import Response

from service.settings import Settings
from service.web.admin.page import AdminPage
from service.web.guide.chapters import read_sample

SNIPPETS = "/admin/authentication/snippets"

_EXAMPLE_ORIGIN = "https://app.example.com"
_PLUS = '"{link}" + '


@dataclass(frozen=True, slots=True)
class Language:
    """A program of the guide that prints a code, and where the link comes in that the panel lets it print."""

    title: str
    file: str
    prints: str
    """The text of the program after which the code begins."""
    link: str = _PLUS
    """What is put there: the link up to the code, in this language."""


LANGUAGES = (
    Language("Node.js, jsonwebtoken", "sign-jsonwebtoken.mjs", "console.log("),
    Language("Node.js, jose", "sign-jose.mjs", "console.log("),
    Language("Python, PyJWT", "sign.py", "print("),
    Language("PHP", "sign.php", "echo ", "'{link}', "),
    Language("Ruby", "sign.rb", "puts "),
    Language("Go", "sign.go", "fmt.Println("),
    Language("Java", "Sign.java", "System.out.println("),
    Language("C#", "Program.cs", "Console.WriteLine("),
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text to copy."""

    title: str
    text: str


async def show_snippets(admin_page: AdminPage) -> Response:
    """`GET /admin/authentication/snippets`."""
    data = await admin_page.run("snippets")
    settings, jwt = admin_page.settings, data["authentication"]["jwt"]
    return admin_page.show(
        "snippets.html",
        programs=[Snippet(one.title, program_of(one, settings.public_url)) for one in LANGUAGES],
        ways=_ways_to_use(settings.public_url),
        can_sign_in=jwt["enabled"] and any(secret["status"] == "CURRENT" for secret in jwt["secrets"]),
        app_url=settings.app_url,
        allowed_origins=settings.allowed_origins,
        likely_origin=_likely_origin(settings, [one["origin"] for one in data["refusedOrigins"]]),
        seat_usage=data["seatUsage"],
    )


def program_of(language: Language, public_url: str) -> str:
    """Return the program of the guide, changed so that it prints the whole sign-in link of this instance."""
    link = language.link.format(link=f"{public_url}/?externalAuthCode=")
    before, prints, after = read_sample(language.file).rstrip().rpartition(language.prints)
    return before + prints + link + after


def _likely_origin(settings: Settings, refused: list[str]) -> str:
    """Return the origin that the customer's pages probably have: the application's, else one that was refused."""
    if settings.app_url:
        parts = urlsplit(settings.app_url)
        return f"{parts.scheme}://{parts.netloc}"
    return next((origin for origin in refused if origin.startswith(("https://", "http://"))), _EXAMPLE_ORIGIN)


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
