"""The tables of email login: its configuration, requested codes and their counts, known clients, one-time links and queued mails."""

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model


class SignUpMode(StrEnum):
    """INVITATION: only existing users get a code. OPEN: any address does, and its first sign-in creates the user."""

    INVITATION = "INVITATION"
    OPEN = "OPEN"


class EmailLogin(Model):
    """One row: the switch, and who may come in."""

    id = fields.IntField(primary_key=True, generated=False)
    enabled = fields.BooleanField(default=True)
    sign_up = fields.CharEnumField(SignUpMode, max_length=16, default=SignUpMode.INVITATION)
    allowed_domains = fields.TextField(default="[]", db_default="[]")  # JSON array; empty: any domain
    session_epoch = fields.IntField(default=0, db_default=0)  # raised to end every session that was opened by email

    class Meta:
        table = "email_login"


class EmailCode(Model):
    """A code that was asked for, by anyone, for any address: also for one that gets no mail."""

    id = fields.CharField(max_length=22, primary_key=True, description="128 random bits, known to whoever asked")
    email = fields.CharField(max_length=320, description="normalised")
    code_hash = fields.CharField(max_length=64, description="keyed, so that nobody finds 6 digits by trying them all")
    tries = fields.IntField(default=0)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "email_codes"


class CodeAllowance(Model):
    """How many codes were asked for within an hour, of an address or from a network."""

    id = fields.CharField(max_length=64, primary_key=True, description="hash of what is counted")
    used = fields.IntField()
    ends_at = fields.DatetimeField(db_index=True, description="an hour after the first")

    class Meta:
        table = "email_code_allowances"


class KnownClient(Model):
    """A network or a browser from which a user signed in by email: it has allowances of its own."""

    id = fields.CharField(max_length=64, primary_key=True, description="keyed hash of the address and the client")
    user_serial = fields.BigIntField()
    kind = fields.CharField(max_length=16, description="NETWORK or DEVICE")
    expires_at = fields.DatetimeField(db_index=True, description="400 days after the last sign-in")

    class Meta:
        table = "known_clients"
        indexes = (("user_serial", "kind", "expires_at"),)


class WrongCodes(Model):
    """How many wrong codes in a row an address has from one source of guesses, and how long the next guess waits."""

    id = fields.CharField(max_length=64, primary_key=True, description="keyed hash of the address and the source")
    account = fields.CharField(max_length=64, db_index=True, description="keyed hash of the address")
    in_a_row = fields.IntField()
    wait_until = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True, description="400 days after the last wrong code")

    class Meta:
        table = "wrong_codes"


class SignInLink(Model):
    """A one-time link. There is one of each holder at most, so that a new one voids the old."""

    holder = fields.BigIntField(
        primary_key=True, generated=False, description="serial of the invited user, 0 for whoever sets the service up"
    )
    token_hash = fields.CharField(max_length=64, unique=True)
    email = fields.CharField(max_length=320, null=True, description="of the user then: another address, another person")
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "sign_in_links"


class OutgoingMail(Model):
    """A mail that is still to be sent: it outlives a crash and a restart, and goes when it was sent or is of no use."""

    id = fields.CharField(max_length=36, primary_key=True, description="UUIDv7")
    encrypted_letter = fields.TextField(description="to whom and what, under the operator's encryption key")
    tries = fields.IntField(default=0)
    due_at = fields.DatetimeField(
        db_index=True, description="not before, and while it is being sent, when to try again"
    )
    expires_at = fields.DatetimeField(db_index=True, description="when it is of no use any more")

    class Meta:
        table = "outgoing_mails"
