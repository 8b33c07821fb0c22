"""Decides what a client sees of an error and what only the log holds.

Each GraphQL error has its kind in `extensions.code` (contract §4). A refusal shows its public message. graphql-core's
findings about a request are shown to the client. Every other exception is a bug: the client gets a neutral sentence and
a reference, and the log gets the exception with the same reference.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from graphql import GraphQLError, ValueNode
from graphql.language import FormattedSourceLocation
from strawberry.exceptions import StrawberryInputCoercionError

from service.errors import RETRY_AFTER, ErrorCode, FreshProofNeeded, RequestRefused, TooManyAttempts, new_reference

MAX_MESSAGE = 500
"""Characters of a message at most: graphql-core repeats names from the request, and those may be 64 KiB long."""

UNAVAILABLE_MESSAGE = "The service is not available right now. Wait a few seconds, then try again."
INTERNAL_MESSAGE = "Something went wrong on our side. If it happens again, tell your administrator the reference."
# The wording of graphql-core. The text before the value stays; the value is removed, because it may be a code. GraphQL's
# null is called None, as in Python.
_REPLACED_TEXTS = (
    (re.compile(r" not to be None\."), " not to be null."),
    (re.compile(r"( cannot represent [\w -]*value): .*?(?=\. Did you mean |$)", re.DOTALL), r"\1"),
    (re.compile(r", found: .*", re.DOTALL), "."),
    (re.compile(r"\? Found: .*", re.DOTALL), "?"),
    (re.compile(r"\bValue '.*?(?:' does not exist|$)", re.DOTALL), "Value does not exist"),
)
_LEFT_OUT_NOT_NULL = "This may be left out, but it cannot be null."


class ErrorExtensions(TypedDict):
    """The `extensions` of an error. `retryAfterSeconds` is set with TOO_MANY_ATTEMPTS and SERVICE_UNAVAILABLE.

    `freshProofNeeded` is true with FORBIDDEN if the same user may do this after signing in again.
    """

    code: str
    reference: NotRequired[str]
    retryAfterSeconds: NotRequired[int]
    freshProofNeeded: NotRequired[bool]


class FormattedError(TypedDict):
    """An error in a response (GraphQL specification, "Errors")."""

    message: str
    locations: NotRequired[list[FormattedSourceLocation]]
    path: NotRequired[list[str | int]]
    extensions: ErrorExtensions


def bad_user_input(message: str, code: str = ErrorCode.BAD_USER_INPUT) -> FormattedError:
    """Return an error that concerns the whole request."""
    return {"message": message[:MAX_MESSAGE], "extensions": {"code": code}}


def request_error(error: GraphQLError) -> FormattedError:
    """Return the error of a request that did not run: syntax, validation, operation name or variables."""
    return _placed(bad_user_input(_public_message(error)), error)


def refusal_error(refusal: RequestRefused) -> FormattedError:
    """Return the public part of a refusal. Its `cause` is not part of the answer."""
    extensions: ErrorExtensions = {"code": refusal.code, "reference": refusal.reference}
    if isinstance(refusal, TooManyAttempts):
        extensions["retryAfterSeconds"] = refusal.retry_after
    if isinstance(refusal, FreshProofNeeded):
        extensions["freshProofNeeded"] = True
    return {"message": refusal.message, "extensions": extensions}


def unavailable_error(reference: str) -> FormattedError:
    """Return the error for a request that can be sent again in a few seconds; see `is_unavailable`."""
    return {
        "message": UNAVAILABLE_MESSAGE,
        "extensions": {
            "code": ErrorCode.SERVICE_UNAVAILABLE,
            "reference": reference,
            "retryAfterSeconds": RETRY_AFTER,
        },
    }


def is_unavailable(error: FormattedError) -> bool:
    """Return whether the error says that the service cannot do its work now: HTTP 503 instead of 200 or 500."""
    return error["extensions"]["code"] == ErrorCode.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class ErrorBoundary:
    """Turns exceptions into GraphQL errors and reports them to the log."""

    on_internal_error: Callable[[BaseException, str], bool | None]
    """Called with the exception and its reference. Neither its text nor its traceback quotes the document."""

    on_refusal: Callable[[RequestRefused, object], None]
    """Called with the refusal and the context of the request, which is None if the context could not be made."""

    def raised_by_field(self, error: GraphQLError, context: object) -> FormattedError:
        """Return the error of one field during execution."""
        cause = _cause_of(error)
        if isinstance(cause, GraphQLError) and _is_the_clients(cause):
            return _placed(bad_user_input(_public_message(cause)), error)
        return _placed(self.raised(cause, context), error)

    def raised(self, cause: BaseException, context: object = None) -> FormattedError:
        """Return the error for an exception without a field, or whose field the caller adds."""
        if isinstance(cause, RequestRefused):
            self.on_refusal(cause, context)
            return refusal_error(cause)
        reference = new_reference()
        if self.on_internal_error(_without_document(cause), reference):
            return unavailable_error(reference)
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
    """Return whether a value of the request caused the error, not a value that a resolver returned.

    Only what graphql-core says of an argument points at a value in the document. Variables are checked before the
    first field runs, save for what shows only where they are used: a null for an argument that may only be left out.
    """
    if isinstance(error, StrawberryInputCoercionError):
        return True
    return error.nodes is not None and isinstance(error.nodes[0], ValueNode)


def _public_message(error: GraphQLError) -> str:
    """Return the message without the wrong value.

    The value may be a code in the wrong argument, and clients send errors to error trackers. Strawberry's text for a
    forbidden null addresses the author of the schema, so another text replaces it.
    """
    if "'Maybe[" in error.message:
        return _LEFT_OUT_NOT_NULL
    message = error.message[:MAX_MESSAGE]  # cut first, because a long value could make the search slow
    for quoted, instead in _REPLACED_TEXTS:
        message = quoted.sub(instead, message)
    return message


def _without_document(cause: BaseException) -> BaseException:
    """Return the original exception. A `GraphQLError` would print lines of the document, which may contain a code."""
    if isinstance(cause, GraphQLError):
        return RuntimeError(cause.message).with_traceback(cause.__traceback__)
    return cause


def _placed(formatted: FormattedError, error: GraphQLError) -> FormattedError:
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path:
        formatted["path"] = error.path
    return formatted
