"""The actions of audit events."""

from enum import StrEnum


class Action(StrEnum):
    """What was done or refused. The values are public: clients filter by them."""

    USER_CREATED = "user.created"
    USER_INVITED = "user.invited"
    USER_LINKED = "user.linked"
    USER_UPDATED = "user.updated"
    USER_GROUPS_SET = "user.groups_set"
    USER_EMAIL_KEPT = "user.email_kept"
    USER_ROLE_SET = "user.role_set"
    USER_DEACTIVATED = "user.deactivated"
    USER_REACTIVATED = "user.reactivated"
    USER_ACCESS_ENDED = "user.access_ended"
    USER_DELETED = "user.deleted"
    USER_ERASED = "user.erased"
    USER_CODES_REVOKED = "user.codes_revoked"
    USER_SIGN_IN_LINK_MADE = "user.sign_in_link_made"
    USER_EMAIL_SIGN_IN_UNLOCKED = "user.email_sign_in_unlocked"
    USER_SESSIONS_ENDED = "user.sessions_ended"
    ADMIN_PROFILE_KEPT = "admin.profile_kept"
    ADMIN_LINK_MADE = "admin.link_made"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "sessions.ended"
    SESSION_OPENED = "session.opened"
    SIGN_IN_REFUSED = "sign_in.refused"
    EMAIL_CODES_FAILED = "email_codes.failed"
    SETUP_LINK_MADE = "setup_link.made"
    SETUP_LINK_USED = "setup_link.used"
    CODE_SIGNED = "code.signed"
    CODE_INSPECTED = "code.inspected"
    USERS_IMPORT_STARTED = "users.import_started"
    USERS_IMPORTED = "users.imported"
    USERS_EXPORTED = "users.exported"
    AUDIT_EXPORTED = "audit.exported"
    JWT_ENABLED = "jwt.enabled"
    JWT_DISABLED = "jwt.disabled"
    JWT_SECRET_ROTATED = "jwt.secret_rotated"
    JWT_SECRET_REVOKED = "jwt.secret_revoked"
    JWT_SECRET_DESCRIBED = "jwt.secret_described"
    JWT_CODES_REVOKED = "jwt.codes_revoked"
    JWT_POLICY_UPDATED = "jwt.policy_updated"
    JWT_SIGN_IN_UPDATED = "jwt.sign_in_updated"
    EMAIL_LOGIN_UPDATED = "email_login.updated"
    BRANDING_UPDATED = "branding.updated"
    SEAT_LIMIT_SET = "seats.limit_set"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    BACKUP_RESTORED = "backup.restored"


CHANGE_NOTHING = (
    Action.SESSION_OPENED,
    Action.SESSION_ENDED,
    Action.SETUP_LINK_MADE,
    Action.CODE_SIGNED,
    Action.JWT_SECRET_DESCRIBED,
    Action.USER_SIGN_IN_LINK_MADE,
    Action.CODE_INSPECTED,
    Action.USERS_EXPORTED,
    Action.AUDIT_EXPORTED,
)
"""Events of which nothing has to be repeated after a backup is restored."""
