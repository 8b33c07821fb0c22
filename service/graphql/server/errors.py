"""The one boundary of this edge: what a client may see of an error, and what only the log may.

A GraphQL error says its kind in `extensions.code` (contract §4). A refusal says what its author wrote for the public,
graphql-core's own findings about a request are repeated to whoever sent it, and everything else is a bug: the client
gets a neutral sentence and a reference, the log gets the exception under the same reference.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from graphql import GraphQLError, ValueNode
from graphql.language import FormattedSourceLocation
from strawberry.exceptions import StrawberryInputCoercionError

from service.errors import ErrorCode, RequestRefused, TooManyAttempts, new_reference

MAX_MESSAGE = 500
"""Characters of a message at most: graphql-core repeats names from the request, and those may be 64 KiB long."""

INTERNAL_MESSAGE = "Something went wrong on our side. If it happens again, tell your administrator the reference."
# As graphql-core words it: what stands before the value stays, the value goes.
_QUOTED_VALUES = (
    (re.compile(r"( cannot represent [\w -]*value): .*?(?=\. Did you mean |$)", re.DOTALL), r"\1"),
    (re.compile(r", found: .*", re.DOTALL), "."),
    (re.compile(r"\? Found: .*", re.DOTALL), "?"),
    (re.compile(r"\bValue '.*?(?:' does not exist|$)", re.DOTALL), "Value does not exist"),
)
_LEFT_OUT_NOT_NULL = "This may be left out, but it cannot be null."


class ErrorExtensions(TypedDict):
    """What a program reads of an error; `retryAfterSeconds` stands with TOO_MANY_ATTEMPTS."""

    code: str
    reference: NotRequired[str]
    retryAfterSeconds: NotRequired[int]


class FormattedError(TypedDict):
    """An error as a response carries it (GraphQL specification, "Errors")."""

    message: str
    locations: NotRequired[list[FormattedSourceLocation]]
    path: NotRequired[list[str | int]]
    extensions: ErrorExtensions


def bad_user_input(message: str, code: str = ErrorCode.BAD_USER_INPUT) -> FormattedError:
    """An error of the request as a whole."""
    return {"message": message[:MAX_MESSAGE], "extensions": {"code": code}}


def request_error(error: GraphQLError) -> FormattedError:
    """What graphql-core found wrong before anything ran: syntax, validation, the operation's name, its variables."""
    return _placed(bad_user_input(_public_message(error)), error)


def refusal_error(refusal: RequestRefused) -> FormattedError:
    """A refusal in its author's words; its `cause` stays here."""
    extensions: ErrorExtensions = {"code": refusal.code, "reference": refusal.reference}
    if isinstance(refusal, TooManyAttempts):
        extensions["retryAfterSeconds"] = refusal.retry_after
    return {"message": refusal.message, "extensions": extensions}


@dataclass(frozen=True, slots=True)
class ErrorBoundary:
    """Turns what was raised into what is answered, and tells the log."""

    on_internal_error: Callable[[BaseException, str], None]
    """Gets the exception and its reference. Neither the exception's text nor its traceback quotes the document."""

    on_refusal: Callable[[RequestRefused], None]

    def raised_by_field(self, error: GraphQLError) -> FormattedError:
        """An error of one field, once execution has begun."""
        cause = _cause_of(error)
        if isinstance(cause, GraphQLError) and _is_the_clients(cause):
            return _placed(bad_user_input(_public_message(cause)), error)
        return _placed(self.raised(cause), error)

    def raised(self, cause: BaseException) -> FormattedError:
        """An exception that belongs to no field, or whose field is noted by the caller."""
        if isinstance(cause, RequestRefused):
            self.on_refusal(cause)
            return refusal_error(cause)
        reference = new_reference()
        self.on_internal_error(_without_document(cause), reference)
        return {
            "message": INTERNAL_MESSAGE,
            "extensions": {"code": ErrorCode.INTERNAL_SERVER_ERROR, "reference": reference},
        }


def _cause_of(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_the_clients(error: GraphQLError) -> bool:
    """Whether a value in the request is at fault, rather than one that a resolver returned.

    Only what graphql-core says of an argument points at a value in the document. Variables are checked before the
    first field runs, save for what shows only where they are used: a null for an argument that may only be left out.
    """
    if isinstance(error, StrawberryInputCoercionError):
        return True
    return error.nodes is not None and isinstance(error.nodes[0], ValueNode)


def _public_message(error: GraphQLError) -> str:
    """Strawberry's words for a forbidden null are advice to whoever wrote the schema.

    The value that was wrong is left out: it may be a code that stands in the wrong place, and clients report errors.
    """
    if "'Maybe[" in error.message:
        return _LEFT_OUT_NOT_NULL
    message = error.message[:MAX_MESSAGE]  # first, because a value may be long, and made to be slow to search
    for quoted, instead in _QUOTED_VALUES:
        message = quoted.sub(instead, message)
    return message


def _without_document(cause: BaseException) -> BaseException:
    """A `GraphQLError` prints the lines of the document around it, and a code may stand in those."""
    if isinstance(cause, GraphQLError):
        return RuntimeError(cause.message).with_traceback(cause.__traceback__)
    return cause


def _placed(formatted: FormattedError, error: GraphQLError) -> FormattedError:
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path:
        formatted["path"] = error.path
    return formatted
