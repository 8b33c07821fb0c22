"""`doorcode jwt policy`: shows and changes the policy for codes."""

from enum import StrEnum
from typing import Annotated

import typer
from pydantic.alias_generators import to_camel

from service.audit.log import COMMAND_LINE
from service.cli.running import print_result, run
from service.external_auth.configuration import policy_of, update_policy
from service.external_auth.models import ExternalAuth
from service.external_auth.policy import Policy
from service.external_auth.recommended_policy import RECOMMENDATIONS
from service.instance import Instance

_WORDS = {"true": True, "false": False, "null": None}
_FIELDS = {to_camel(name): name for name in Policy.model_fields}


def policy(
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=VALUE]…",
            help="A field of JwtPolicy and its new value: true or false, a number, a text, names separated by commas, or"
            " null for none. For example: trustEmails=false groupsMember=groups sharedMetadata=plan,locale",
        ),
    ] = None,
    recommended: Annotated[
        bool,
        typer.Option("--recommended", help="Print the recommended values that differ, with reasons; change nothing."),
    ] = False,
) -> None:
    """Change the policy from the next code on, and print it. A field that is not named stays."""
    if recommended:
        _print_recommended(policy_of(run(lambda _: ExternalAuth.get(id=1))))
        return
    values = dict(_change(text) for text in changes or [])

    async def change(_: Instance) -> ExternalAuth:
        return await update_policy(values, COMMAND_LINE) if values else await ExternalAuth.get(id=1)

    print_result(describe_policy(policy_of(run(change, creates=bool(values)))))


def _print_recommended(policy: Policy) -> None:
    for one in RECOMMENDATIONS:
        if not one.is_met(policy):
            value = "(your own value)" if one.value is None else str(one.value).lower()
            print_result(f"{one.name}={value}  # {one.reason}")


def describe_policy(policy: Policy) -> str:
    """Return the policy as one line."""
    return "Policy: " + ", ".join(f"{name} {_as_text(getattr(policy, field))}" for name, field in _FIELDS.items())


def _change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or name not in _FIELDS:
        raise typer.BadParameter(
            f"Give NAME=VALUE, with one of these names: {', '.join(_FIELDS)}.", param_hint="NAME=VALUE"
        )
    return _FIELDS[name], _value(_FIELDS[name], value)


def _value(field: str, text: str) -> object:
    """Return a choice by its name, a boolean, null or a number of seconds, and else the text."""
    kind = Policy.model_fields[field].annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if text.upper() not in kind.__members__:
            raise typer.BadParameter(f"{to_camel(field)} is one of {', '.join(kind)}.", param_hint="NAME=VALUE")
        return kind(text.upper())
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if field.endswith("_seconds") and text.isdecimal() else text


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)
