"""The names and notes that admins give to signing secrets, to tell them apart. They change nothing of a sign-in."""

from service.audit.actions import Action
from service.audit.log import Actor, changes_of, record
from service.database import transaction
from service.errors import BadUserInput, NotFound
from service.external_auth.models import JwtSecret
from service.ids import could_be_id
from service.text import find_unsafe_characters

MAX_NAME = 100  # characters
MAX_NOTE = 500  # characters


async def describe_secret_as(secret_id: str, changes: dict[str, str], by: Actor) -> JwtSecret:
    """Set `name` and `note` of a secret, those that `changes` has; empty for none. Returns the secret.

    Raises `NotFound`, and `BadUserInput` for a text that is too long or has control characters. A note may have lines.
    """
    texts = {name: text.strip() for name, text in changes.items()}
    _check("name", texts.get("name", ""), MAX_NAME)
    _check("note", texts.get("note", "").replace("\r\n", "\n").replace("\n", " "), MAX_NOTE)
    async with transaction():
        secret = await JwtSecret.get_or_none(id=secret_id) if could_be_id(secret_id) else None
        if secret is None:
            raise NotFound("There is no JWT secret with this id.")
        before = {name: getattr(secret, name) for name in texts}
        changed = changes_of(before, texts)
        if changed:
            await secret.update_from_dict(texts).save(update_fields=list(texts))
            await record(Action.JWT_SECRET_DESCRIBED, by, secret_id=secret.id, detail={"changes": changed})
    return secret


def _check(name: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise BadUserInput(f"`{name}` must have at most {longest} characters.")
    if problem := find_unsafe_characters(text):
        raise BadUserInput(f"`{name}` {problem}.")
