"""Erases a person: the user, everything that names the user, and the name in the audit log, which gets a pseudonym.

Deleting the user and noting the erasure is one transaction. The rest follows in small steps, and `finish_erasures` repeats
it a minute later: other processes write sign-ins that were under way, and audit events that they had collected. So an
erasure also completes if its process ends in the middle.
"""

import json

from service.accounts.administration import forget_devices, remove_user
from service.accounts.code_cutoffs import SubjectHashes
from service.accounts.lookup import find_by_email, find_by_id_claim
from service.accounts.models import User
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.audit.models import Erasure
from service.audit.pending import PendingEvents
from service.audit.pseudonyms import Identifiers, find_former, is_known, replace_by_pseudonym
from service.clock import MINUTE, now
from service.database import overwrite_deleted, transaction
from service.email_login.codes import delete_codes_for
from service.email_login.links import delete_links_for
from service.email_login.mail_queue import delete_mails_to
from service.email_login.wrong_codes import reset_wrong_codes
from service.encryption import Cipher
from service.errors import NotFound
from service.ids import new_id
from service.sessions.sent_forms import forget_forms_about

PSEUDONYM_PREFIX = "erased_"
_COMPLETE_AFTER = MINUTE  # other processes write what they have collected within a second
_NO_USER = -1  # a serial that no user has


async def erase_user(
    user_id: str,
    by: Actor,
    hashes: SubjectHashes,
    cipher: Cipher,
    pending_events: PendingEvents,
    *,
    revoke_codes: bool = False,
) -> str:
    """Delete the user and everything that names the user, and return the pseudonym that the audit log has instead.

    Also erases a user who was deleted before and whom the audit log still names. With `revoke_codes`, codes issued before
    now do not create the user again. Raises `NotFound`, `Conflict` for the last active admin, and `Forbidden` for an admin
    if the actor may not change admins.
    """
    pseudonym = new_id(PSEUDONYM_PREFIX)
    async with transaction():
        user = await _remove(user_id, by, hashes, revoke_codes=revoke_codes)
        person = Identifiers(
            frozenset({user_id} if user is None else {user.id, user.external_id or user.id}),
            frozenset({user.shown_email} if user and user.shown_email else ()),
        )
        person = await _without_those_of_others(await find_former(person))
        for email in person.emails:
            await reset_wrong_codes(email, cipher)
        await delete_codes_for(person.emails)
        await delete_links_for(person.emails)
        await delete_mails_to(person.emails, cipher)
        await forget_forms_about(person.texts)
        detail = {"revokeCodes": revoke_codes} | ({"origin": user.origin} if user else {})
        await record(Action.USER_ERASED, by, user_id=pseudonym, detail=detail)
        serial = user.serial if user else _NO_USER
        erasure = await Erasure.create(
            pseudonym=pseudonym, encrypted_person=cipher.encrypt(_dump(person, serial)), created_at=now()
        )
    await pending_events.write()
    pending_events.forget_repeated()
    await _replace(erasure, cipher)
    return pseudonym


async def finish_erasures(cipher: Cipher) -> int:
    """Complete the erasures of more than a minute ago, and return how many there were."""
    erasures = await Erasure.filter(created_at__lt=now() - _COMPLETE_AFTER).order_by("created_at")
    for erasure in erasures:
        await _replace(erasure, cipher)
        async with transaction():
            await erasure.delete()
    if erasures:
        await overwrite_deleted()  # of the identifiers, too
    return len(erasures)


async def renew_erasure_encryption(cipher: Cipher) -> None:
    """Encrypt the identifiers with the first encryption key, so that older keys can be removed."""
    for erasure in await Erasure.all():
        if (renewed := cipher.renewed(erasure.encrypted_person)) is not None:
            async with transaction():
                await Erasure.filter(pseudonym=erasure.pseudonym).update(encrypted_person=renewed)


async def _remove(user_id: str, by: Actor, hashes: SubjectHashes, *, revoke_codes: bool) -> User | None:
    """Delete the user. None if only the audit log or a refusal still names the ID. Raises `NotFound` if nothing does."""
    try:
        return await remove_user(user_id, by, hashes, revoke_codes=revoke_codes)
    except NotFound:
        if not await is_known(user_id):
            raise
        return None


async def _without_those_of_others(person: Identifiers) -> Identifiers:
    """Leave out what now names another user: an external ID or an address may have been given on."""
    ids = [text for text in person.ids if await find_by_id_claim(text)]
    emails = [text for text in person.emails if await find_by_email(text)]
    return person.without([*ids, *emails])


async def _replace(erasure: Erasure, cipher: Cipher) -> None:
    person, serial = _load(cipher.decrypt(erasure.encrypted_person))
    async with transaction():
        await forget_devices(serial)
    # What happens from now on is of a new user with the same ID.
    await replace_by_pseudonym(person, erasure.pseudonym, erasure.created_at)
    await overwrite_deleted()


def _dump(person: Identifiers, serial: int) -> str:
    return json.dumps({"ids": sorted(person.ids), "emails": sorted(person.emails), "serial": serial})


def _load(text: str) -> tuple[Identifiers, int]:
    stored = json.loads(text)
    return Identifiers(frozenset(stored["ids"]), frozenset(stored["emails"])), int(stored["serial"])
