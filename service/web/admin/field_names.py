"""The names of the panel's fields, for messages of the API that name its arguments."""

import re

_ARGUMENT = re.compile(r"`(\w+)`")
_FIELDS = {
    "clockSkewSeconds": "The clock skew",
    "maxLifetimeSeconds": "The maximum lifetime of a code",
    "issuer": "The issuer",
    "audience": "The audience",
    "signInUrl": "The sign-in page",
    "accentColor": "The accent colour",
    "accentColorDark": "The accent colour for the dark theme",
    "supportEmail": "The support address",
    "supportUrl": "The support page",
    "logo": "The logo",
    "logoDark": "The logo for the dark theme",
    "signOutUrl": "The sign-out page",
    "email": "The email",
    "externalId": "The external ID",
    "accessUntil": "The end of the access",
    "allowedDomains": "The list of domains",
    "name": "The name",
    "expiresAt": "The last day of the key",
}


def in_words(message: str) -> str:
    """Return a message of the API with the names of the panel's fields instead of the API's arguments."""
    return _ARGUMENT.sub(lambda found: _FIELDS.get(found[1], found[0]), message)
