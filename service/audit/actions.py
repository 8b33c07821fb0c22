"""The actions of audit events."""

from enum import StrEnum


class Action(StrEnum):
    """What was done or refused. The values are public: clients filter by them."""

    USER_CREATED = "user.created"
    USER_INVITED = "user.invited"
    USER_LINKED = "user.linked"
    USER_UPDATED = "user.updated"
    USER_EMAIL_KEPT = "user.email_kept"
    USER_ROLE_SET = "user.role_set"
    USER_DEACTIVATED = "user.deactivated"
    USER_REACTIVATED = "user.reactivated"
    USER_DELETED = "user.deleted"
    USER_SESSIONS_ENDED = "user.sessions_ended"
    ADMIN_PROFILE_KEPT = "admin.profile_kept"
    ADMIN_LINK_MADE = "admin.link_made"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "sessions.ended"
    SIGN_IN_REFUSED = "sign_in.refused"
    JWT_ENABLED = "jwt.enabled"
    JWT_DISABLED = "jwt.disabled"
    JWT_SECRET_ROTATED = "jwt.secret_rotated"
    JWT_SECRET_REVOKED = "jwt.secret_revoked"
    JWT_POLICY_UPDATED = "jwt.policy_updated"
    EMAIL_LOGIN_UPDATED = "email_login.updated"
    SEAT_LIMIT_SET = "seats.limit_set"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    BACKUP_RESTORED = "backup.restored"
