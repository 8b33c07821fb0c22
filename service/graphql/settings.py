"""The settings of the instance, and a test mail."""

from importlib import metadata

import strawberry

from service.email_login.mail_check import send_test_mail
from service.graphql.context import Info
from service.settings_overview import describe_settings


@strawberry.type(description="A setting of the instance, which the operator gives in the environment.")
class Setting:
    name: str = strawberry.field(description="The environment variable, such as `DOORCODE_PUBLIC_URL`.")
    value: str = strawberry.field(
        description=(
            "The value as text. `not set` if there is none. Of a setting that is a secret: `set`, or the scheme, host "
            "and port of a URL."
        )
    )
    is_default: bool = strawberry.field(description="Whether the value is the default.")


@strawberry.type(description="The version and the settings of the instance.")
class ServiceSettings:
    version: str = strawberry.field(description="The version of Doorcode.")
    values: list[Setting] = strawberry.field(description="All settings.")


@strawberry.type(description="What became of a test mail.")
class TestMail:
    email: str = strawberry.field(description="The address that the mail was sent to.")
    problem: str | None = strawberry.field(description="Why the mail server did not accept the mail. Null if it did.")


@strawberry.type
class SettingsQueries:
    @strawberry.field(description="The settings of the instance, without secrets. For admins and API keys.")
    def settings(self, info: Info) -> ServiceSettings | None:
        info.context.caller.require_reader()
        shown = describe_settings(info.context.instance.settings)
        values = [Setting(name=one.name, value=one.value, is_default=one.is_default) for one in shown]
        return ServiceSettings(version=metadata.version("doorcode"), values=values)


@strawberry.type
class SettingsMutations:
    @strawberry.mutation(
        description=(
            "Sends a test mail to the admin who asks, and answers when the mail server has accepted or refused it: after "
            "60 seconds at most. For admins in person."
        )
    )
    async def send_test_mail(self, info: Info) -> TestMail | None:
        caller = info.context.caller
        caller.require_admin_in_person()
        email = caller.require_session().user.email
        assert email is not None, "an admin signs in by email"
        return TestMail(email=email, problem=await send_test_mail(email, info.context.instance.settings))
