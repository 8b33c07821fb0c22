"""Decides which user a verified code signs in, and creates or updates that user.

The decision is a value. The exchange acts on it and the inspection describes it, so the two cannot disagree.

SQL by hand: atomic. `last_seen_at` never goes back.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from service.accounts.changes import Profile, record_link, record_update
from service.accounts.code_cutoffs import SubjectHashes, find_cutoff, find_cutoff_problem, latest
from service.accounts.email_changes import EmailKept, NewEmail, compare_email
from service.accounts.groups import change_groups, dump_groups
from service.accounts.identifiers import SERVICE_ID_PREFIX, is_service_made
from service.accounts.lookup import find_by_email, find_by_id_claim
from service.accounts.metadata import dump_metadata, is_same_metadata
from service.accounts.models import IDENTIFIER_COLUMNS, GroupSource, User, UserOrigin, UserRole
from service.accounts.new_users import sign_up
from service.accounts.refusals import Refuse, refusal, refuse_deactivated
from service.accounts.seats import lock_seats
from service.accounts.subjects import EmailClaim, IdClaim, Subject, UserClaim
from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.log import Actor
from service.clock import HOUR, floor, now
from service.database import Statement, set_mark
from service.refusal_texts import SignInErrorCode


@dataclass(frozen=True, slots=True)
class SignIn:
    """Sign in a known user, and update the profile from the code."""

    user: User
    new_email: NewEmail | None = None
    new_metadata: str | None = None
    new_groups: tuple[str, ...] | None = None
    """All groups that the user then has from codes. None if the code changes none."""
    email_kept: EmailKept | None = None
    """Why the stored email stays although the code has another one. The audit log records it."""
    profile_protected: bool = False
    """The code would change an admin's profile: the profile stays, and the audit log records it."""

    @property
    def changes_user(self) -> bool:
        """Whether the code changes the user."""
        return bool(self.new_email or self.new_metadata) or self.new_groups is not None


@dataclass(frozen=True, slots=True)
class Link:
    """Sign in the existing user with this verified email, and set the external ID to the code's ID."""

    user: User
    claim: UserClaim
    codes_valid_from: datetime | None = None
    """The moment that was kept when a user with the code's ID was deleted. None if there is none."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create a user, who takes a seat."""

    claim: UserClaim
    codes_valid_from: datetime | None = None
    """The moment that was kept when a user with the code's ID was deleted. None if there is none."""


_MORE_THAN_UNKNOWN = frozenset({SignInErrorCode.CODE_EXPIRED, SignInErrorCode.USER_DEACTIVATED})
"""What a code with an unknown ID is refused for, also if the policy creates no users."""

Decision = SignIn | Link | Create | Refuse


@dataclass(frozen=True, slots=True)
class CodeTerms:
    """What a decision depends on beside the subject of the code."""

    issued_at: float | None
    """`iat` of the code, in seconds since 1970."""
    link_by_email: bool
    create_users: bool
    """False: a user whose ID is not known is refused, unless it is linked by email."""
    hashes: SubjectHashes


async def decide(subject: Subject, terms: CodeTerms) -> Decision:
    """Decide how to sign in this subject. Changes no data. One read for a known user whom the code does not change."""
    match subject:
        case IdClaim(id=user_id):
            known, missing = await find_by_id_claim(user_id), "no user has this ID"
        case EmailClaim(email=email):
            known, missing = await find_by_email(email), "no user has this email"
        case UserClaim():
            known = await find_by_id_claim(subject.id)
            return await (_decide_for_new(subject, terms) if known is None else decide_for(known, subject, terms))
        case _:
            assert_never(subject)
    return await decide_for(known, subject, terms) if known else Refuse(SignInErrorCode.UNKNOWN_USER, missing)


async def decide_for(user: User, subject: Subject, terms: CodeTerms) -> SignIn | Refuse:
    """Decide for a known user: whether the user may sign in, and what the code changes."""
    if refused := _refuse_cut_off(user.codes_valid_from, terms, user) or refuse_deactivated(user):
        return refused
    return await _compare_profile(user, subject) if isinstance(subject, UserClaim) else SignIn(user)


async def _compare_profile(user: User, claim: UserClaim) -> SignIn:
    email = compare_email(user, claim)
    new_metadata = None
    if claim.metadata is not None and not is_same_metadata(user.metadata, claim.metadata):
        new_metadata = dump_metadata(claim.metadata)
    groups = claim.groups if claim.groups is not None and dump_groups(claim.groups) != user.code_groups else None
    if user.role is UserRole.ADMIN:
        kept = email if isinstance(email, EmailKept) else None
        changes = bool(new_metadata) or groups is not None or isinstance(email, NewEmail)
        return SignIn(user, email_kept=kept, profile_protected=changes)
    if isinstance(email, NewEmail) and email.verified and await find_by_email(email.address):
        email = EmailKept.TAKEN
    if isinstance(email, EmailKept):
        return SignIn(user, new_metadata=new_metadata, new_groups=groups, email_kept=email)
    return SignIn(user, new_email=email, new_metadata=new_metadata, new_groups=groups)


async def provision(subject: Subject, terms: CodeTerms, by: Actor) -> tuple[User, bool]:
    """Create or update the user, in the caller's transaction. Returns the user, and whether it is new.

    Raises `SignInRefused`. Takes the seat lock before it decides, so that no other request takes the seat, the ID or
    the email in between.
    """
    await lock_seats()
    decision = await decide(subject, terms)
    match decision:
        case SignIn():
            await _update_profile(decision, by)
            await record_ignored_profile(decision, by)
            return decision.user, False
        case Link():
            await _link(decision, by)
            return decision.user, False
        case Create():
            return await _create(decision, by), True
        case Refuse():
            raise refusal(decision)
        case _:
            assert_never(decision)


def _refuse_cut_off(valid_from: datetime | None, terms: CodeTerms, user: User | None = None) -> Refuse | None:
    cause = find_cutoff_problem(terms.issued_at, valid_from, "this person's codes")
    return Refuse(SignInErrorCode.CODE_EXPIRED, user=user, cause=cause) if cause else None


async def _decide_for_new(claim: UserClaim, terms: CodeTerms) -> Link | Create | Refuse:
    decision = await _decide_to_create_or_link(claim, terms)
    if terms.create_users or isinstance(decision, Link):
        return decision
    if isinstance(decision, Refuse) and decision.code in _MORE_THAN_UNKNOWN:
        return decision
    return Refuse(SignInErrorCode.UNKNOWN_USER, "no user has this ID", cause="the policy admits existing users only")


async def _decide_to_create_or_link(claim: UserClaim, terms: CodeTerms) -> Link | Create | Refuse:
    if is_service_made(claim.id):
        return Refuse(
            SignInErrorCode.INVALID_CLAIMS,
            f"user.id begins with {SERVICE_ID_PREFIX}, which is reserved for IDs of this service",
        )
    if claim.email_problem is not None:
        return Refuse(SignInErrorCode.INVALID_CLAIMS, claim.email_problem)
    valid_from = await find_cutoff(claim.id, terms.hashes)
    if refused := _refuse_cut_off(valid_from, terms):
        return refused
    holder = await find_by_email(claim.email) if claim.email and claim.email_verified else None
    if holder is None:
        return Create(claim, valid_from)
    if not terms.link_by_email or holder.role is UserRole.ADMIN or holder.external_id is not None:
        return Refuse(SignInErrorCode.EMAIL_TAKEN, user=holder)
    refused = _refuse_cut_off(holder.codes_valid_from, terms, holder) or refuse_deactivated(holder)
    return refused or Link(holder, claim, valid_from)


async def _update_profile(plan: SignIn, by: Actor) -> None:
    user, new = plan.user, plan.new_email
    if plan.new_groups is not None:
        await change_groups(user, plan.new_groups, GroupSource.CODE, by)
    if not new and not plan.new_metadata:
        return
    before = Profile.of(user)
    if new:
        user.email_epoch += (
            new.address != user.shown_email
        )  # a session opened by the previous email does not prove the new one
        user.set_identifiers(email=new.address, email_verified=new.verified, external_id=user.external_id)
    if plan.new_metadata:
        user.set_metadata(plan.new_metadata)
    await user.save(update_fields=("metadata", "email_epoch", *IDENTIFIER_COLUMNS))
    await record_update(user, before, by)


async def record_ignored_profile(plan: SignIn, by: Actor) -> None:
    """Record in the audit log what the code could not change: one event an hour, inside or outside a transaction."""
    user, kept = plan.user, plan.email_kept
    if kept:
        await record_hourly(
            Action.USER_EMAIL_KEPT, by, person=user.id, reason=kept, user_id=user.id, detail={"reason": kept}
        )
    if plan.profile_protected:
        await record_hourly(
            Action.ADMIN_PROFILE_KEPT, by, person=user.id, reason="profile of an admin", user_id=user.id
        )


async def _link(plan: Link, by: Actor) -> None:
    user, claim = plan.user, plan.claim
    before = Profile.of(user)
    user.set_identifiers(email=user.shown_email, email_verified=user.email_verified, external_id=claim.id)
    if claim.metadata is not None:
        user.set_metadata(dump_metadata(claim.metadata))
    user.codes_valid_from = latest(user.codes_valid_from, plan.codes_valid_from)
    await user.save(update_fields=("metadata", "codes_valid_from", *IDENTIFIER_COLUMNS))
    await record_link(user, before, by)
    if claim.groups is not None:
        await change_groups(user, claim.groups, GroupSource.CODE, by)


async def _create(plan: Create, by: Actor) -> User:
    claim, moment = plan.claim, now()
    user = User(
        id=claim.id,
        external_id=claim.id,
        email=claim.email if claim.email_verified else None,
        claimed_email=None if claim.email_verified else claim.email,
        metadata=dump_metadata(claim.metadata or {}),
        origin=UserOrigin.EXTERNAL_JWT,
        codes_valid_from=plan.codes_valid_from,
        created_at=moment,
        last_seen_at=floor(moment, HOUR),
    )
    await sign_up(user, by)
    if claim.groups is not None:
        await change_groups(user, claim.groups, GroupSource.CODE, by)
    return user


_SEEN = Statement(
    "UPDATE users SET last_seen_at = $1 WHERE serial = $2 AND (last_seen_at IS NULL OR last_seen_at < $1)"
)


async def record_user_seen(user: User) -> None:
    """Update `last_seen_at` soon, to the hour, so that a user costs one write an hour at most."""
    hour = floor(now(), HOUR)
    if user.last_seen_at is None or user.last_seen_at < hour:
        await set_mark(_SEEN, user.serial, hour, user.serial, is_first=user.last_seen_at is None)
        user.last_seen_at = hour
