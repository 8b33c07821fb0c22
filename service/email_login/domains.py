"""Domains of addresses that may sign up, in IDNA A-form (RFC 5890). `*.example.com` means the subdomains of example.com."""

from collections.abc import Sequence

from service.accounts.identifiers import normalise_email
from service.errors import BadUserInput

MAX_DOMAINS = 100

_SUBDOMAINS = "*."


def parse_domains(given: Sequence[str]) -> tuple[str, ...]:
    """Return the domains in A-form, each once. Raises `BadUserInput` for what is no domain, and for more than 100."""
    domains = tuple(dict.fromkeys(_parse(text.strip()) for text in given))
    if len(domains) > MAX_DOMAINS:
        raise BadUserInput(f"`allowedDomains` has {len(domains)} entries. At most {MAX_DOMAINS} are accepted.")
    return domains


def _parse(text: str) -> str:
    wildcard = _SUBDOMAINS if text.startswith(_SUBDOMAINS) else ""
    domain = text.removeprefix(wildcard)
    try:
        if "@" in domain:
            raise ValueError
        return wildcard + normalise_email(f"a@{domain}").removeprefix("a@")
    except ValueError:
        raise BadUserInput(
            "`allowedDomains` has an entry that is no domain. Write example.com, or *.example.com for its subdomains."
        ) from None


def is_in_domains(email: str, domains: Sequence[str]) -> bool:
    """Return whether an address in normal form belongs to one of these domains. True if there are none."""
    domain = email.rpartition("@")[2]
    return not domains or any(
        domain.endswith(allowed.removeprefix("*")) if allowed.startswith(_SUBDOMAINS) else domain == allowed
        for allowed in domains
    )
