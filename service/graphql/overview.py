"""What the overview of the panel shows: sign-ins by day, the state of the mails, refused origins; and a test link."""

from datetime import UTC, datetime, time
from typing import Annotated
from urllib.parse import urlencode

import strawberry

from service.audit.daily_counts import MAX_DAYS, Counted, sign_in_days, totals
from service.email_login.mail_status import mail_status
from service.external_auth.signing import TEST_USER, longest_lifetime, sign_code_for
from service.graphql.context import Info
from service.graphql.enums import SignInErrorCode
from service.graphql.server.node_count import ListLength
from service.refusal_texts import SignInErrorCode as Reason

_ORIGIN_DAYS = 7
_TEST_LINK_LIFETIME = 300  # seconds


@strawberry.type(description="How often sign-ins were refused for one reason.")
class RefusalCount:
    code: SignInErrorCode = strawberry.field(description="The reason.")
    count: int = strawberry.field(description="The number of refused sign-ins.")


@strawberry.type(description="The sign-ins of one day.")
class SignInDay:
    date: datetime = strawberry.field(description="The start of the day in UTC.")
    sign_ins: int = strawberry.field(
        description="The number of sign-ins that succeeded, by all methods. A session that is continued counts once."
    )
    refusals: list[RefusalCount] = strawberry.field(
        description="The refused sign-ins by reason, the most frequent first. Reasons without a refusal are left out."
    )


@strawberry.type(description="How many mails wait, and what became of the mails of the last 7 days.")
class MailStatus:
    waiting: int = strawberry.field(description="The number of mails that wait to be sent, or sent again.")
    sent: int = strawberry.field(description="The number of mails that the mail server accepted.")
    retried: int = strawberry.field(
        description="How often the mail server did not accept a mail that was then retried."
    )
    dropped: int = strawberry.field(description="The number of mails that were given up.")
    last_sent_at: datetime | None = strawberry.field(description="When a mail was last sent. Null if not in 7 days.")
    last_failed_at: datetime | None = strawberry.field(
        description="When a mail was last not accepted or given up. Null if not in 7 days."
    )


@strawberry.type(description="An origin that `DOORCODE_ALLOWED_ORIGINS` does not name, and that asked all the same.")
class RefusedOrigin:
    origin: str = strawberry.field(description="The origin, or `other origins` for those beyond the first 20 of a day.")
    count: int = strawberry.field(description="The number of its requests in the last 7 days.")
    last_seen_at: datetime = strawberry.field(description="When it last sent a request.")


@strawberry.type(description="A link that signs in a test user.")
class TestLink:
    url: str = strawberry.field(description="The link. It holds a code.")
    user_id: strawberry.ID = strawberry.field(description="The ID of the test user.")
    expires_at: datetime = strawberry.field(description="When the code expires: after 5 minutes at most.")


@strawberry.type
class OverviewQueries:
    @strawberry.field(
        description=(
            "The sign-ins and refusals of each day in UTC, oldest first, today last. Counted within a second; a process "
            "that crashes loses what it counted in the last second. Errors: BAD_USER_INPUT. For admins and API keys."
        ),
        metadata=ListLength(MAX_DAYS, argument="days").metadata,
    )
    async def sign_in_days(
        self,
        info: Info,
        days: Annotated[int, strawberry.argument(description="The number of days: 1 to 100. Default 30.")] = 30,
    ) -> list[SignInDay] | None:
        info.context.caller.require_reader()
        await info.context.instance.pending_events.write()
        return [
            SignInDay(
                date=datetime.combine(day.day, time.min, UTC),
                sign_ins=day.sign_ins,
                refusals=[RefusalCount(code=Reason(code), count=count) for code, count in day.refusals.items()],
            )
            for day in await sign_in_days(days)
        ]

    @strawberry.field(description="The state of the mails of the instance. For admins and API keys.")
    async def mail_status(self, info: Info) -> MailStatus | None:
        info.context.caller.require_reader()
        status = await mail_status()
        return MailStatus(
            waiting=status.waiting,
            sent=status.sent,
            retried=status.retried,
            dropped=status.dropped,
            last_sent_at=status.last_sent_at,
            last_failed_at=status.last_failed_at,
        )

    @strawberry.field(
        description=(
            "The origins whose pages called `/graphql` in the last 7 days and were refused, the most frequent first. "
            "For admins and API keys."
        ),
        metadata=ListLength(MAX_DAYS).metadata,
    )
    async def refused_origins(self, info: Info) -> list[RefusedOrigin] | None:
        info.context.caller.require_reader()
        await info.context.instance.pending_events.write()
        found = (await totals(Counted.REFUSED_ORIGIN, _ORIGIN_DAYS))[:MAX_DAYS]
        return [RefusedOrigin(origin=one.name, count=one.count, last_seen_at=one.last_at) for one in found]


@strawberry.type
class OverviewMutations:
    @strawberry.mutation(
        description=(
            "Signs a code of the user `doorcode-test-user` with the current secret, as your backend would, and returns a "
            "link with it. Its sign-in creates the user, who takes a seat. Errors: CONFLICT if there is no current secret."
        )
    )
    async def create_test_link(self, info: Info) -> TestLink | None:
        by, instance = info.context.caller.require_admin(), info.context.instance
        lifetime = await longest_lifetime(_TEST_LINK_LIFETIME)
        code = await sign_code_for({"user": dict(TEST_USER)}, by, instance.cipher, lifetime=lifetime)
        query = urlencode({"externalAuthCode": code.text})
        return TestLink(
            url=f"{instance.settings.public_url}/?{query}",
            user_id=strawberry.ID(TEST_USER["id"]),
            expires_at=code.expires_at,
        )
