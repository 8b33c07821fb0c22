"""What an inspection says of the subject of a code, and of what an exchange would do with it."""

from service.accounts.email_changes import EmailKept
from service.accounts.groups import compare_groups
from service.accounts.models import GroupSource, User
from service.accounts.provisioning import Create, Decision, Link, SignIn
from service.accounts.refusals import Refuse
from service.accounts.subjects import EmailClaim, IdClaim, Subject, UserClaim
from service.refusal_texts import SignInErrorCode
from service.text import JsonObject

_WHY_EMAIL_IS_KEPT = {
    EmailKept.TAKEN: "Another user has the email in the code",
    EmailKept.MALFORMED: "The email in the code is not well-formed",
    EmailKept.UNVERIFIED: "The email in the code is only claimed, and the user has a verified one",
}


def describe_subject(subject: Subject) -> str:
    """Say which user the code names, and what it says of the user."""
    match subject:
        case UserClaim(id=user_id, metadata=metadata, groups=groups) as claim:
            named = "" if groups is None else f", groups: {_listed(groups) or 'none'}"
            return f"user with the ID {user_id!r}, email {_named_email(claim)}, {_named_metadata(metadata)}{named}."
        case IdClaim(id=user_id):
            return f"id {user_id!r}: an existing user by user ID."
        case EmailClaim(email=email):
            return f"email {email!r}: an existing user by email."


def describe_conflict(decision: Refuse) -> str | None:
    """Say which user is the reason of the refusal. None if no user is."""
    if decision.user is None:
        return None
    who = f"the user {decision.user.id!r}"
    return f"The email belongs to {who}." if decision.code is SignInErrorCode.EMAIL_TAKEN else f"It is {who}."


def describe_decision(decision: Decision) -> str:
    """Say which user an exchange would sign in, and what it would change of the user."""
    match decision:
        case Create(claim=claim):
            email = f", whose email is {_state(verified=claim.email_verified)}" if claim.email else ""
            return f"Unknown: creates the user {claim.id!r}{email}.{_moves(None, claim.groups)}"
        case Link(user=user, claim=claim):
            done = f"signs in the user {user.id!r} and sets its external ID."
            return f"Unknown ID, known email: {done}{_moves(user, claim.groups)}"
        case SignIn(user=user, profile_protected=True):
            return (
                f"Known: the user {user.id!r}, an admin. A code does not change an admin's email, metadata or groups."
            )
        case SignIn(user=user):
            return f"Known: the user {user.id!r}.{_changes(decision)}{_moves(user, decision.new_groups)}"
        case Refuse():
            return decision.code


def quote_name(text: str) -> str:
    """Return a name from the code. Quoted and escaped unless it is an ASCII identifier: a terminal may show it."""
    return text if text.isidentifier() and text.isascii() else repr(text)


def _changes(decision: SignIn) -> str:
    if decision.email_kept:
        return f" {_WHY_EMAIL_IS_KEPT[decision.email_kept]}, so the email does not change."
    if decision.new_email:
        state = _state(verified=decision.new_email.verified)
        return f" The code updates the user's profile. Its email is then {state}."
    return " The code updates the user's profile." if decision.new_metadata else ""


def _moves(user: User | None, groups: tuple[str, ...] | None) -> str:
    """Say which groups the user joins and leaves, if any."""
    if groups is None:
        return ""
    joined, left = compare_groups(user, groups, GroupSource.CODE) if user else (groups, ())
    moves = [f"{verb} {_listed(names)}" for verb, names in (("joins", joined), ("leaves", left)) if names]
    return f" The user {', '.join(moves)}." if moves else ""


def _listed(names: "tuple[str, ...] | list[str]") -> str:
    return ", ".join(map(quote_name, names))


def _named_email(claim: UserClaim) -> str:
    return f"{claim.email} ({_state(verified=claim.email_verified)})" if claim.email else "none"


def _state(*, verified: bool) -> str:
    return "verified" if verified else "claimed"


def _named_metadata(metadata: JsonObject | None) -> str:
    return f"metadata: {', '.join(map(quote_name, metadata))}" if metadata else "no metadata"
