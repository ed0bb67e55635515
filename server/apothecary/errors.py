"""Every error that Apothecary reports on purpose, and the one shape of an issue.

FHIR R5: https://hl7.org/fhir/R5/http.html#Status-Codes and https://hl7.org/fhir/R5/operationoutcome.html

```
ApothecaryError
├── FhirError                 an HTTP status and one or more issues; becomes an OperationOutcome
│   ├── BadRequest            400  invalid      a parameter, header, path or body that breaks a rule
│   │   ├── InvalidContent    400  structure    a body that is not well-formed FHIR
│   │   ├── NotSupported      400  not-supported  right by the specification, not offered here
│   │   ├── UnknownTerminology  400  not-found  a value set, code system or code that is not held here
│   │   ├── NotEnumerable     400  not-supported  a value set whose codes cannot be listed here
│   │   └── TooCostly         400  too-costly   a search past the limits
│   ├── Unauthorized          401  login
│   ├── Forbidden             403  forbidden
│   ├── NotFound              404  not-found
│   ├── MethodNotAllowed      405  not-supported
│   ├── NotAcceptable         406  not-supported
│   ├── RequestTimeout        408  timeout      a body that did not arrive in time
│   ├── Conflict              409  conflict
│   ├── Gone                  410  deleted
│   ├── PreconditionFailed    412  conflict
│   ├── TooLarge              413  too-long
│   ├── UriTooLong            414  too-long
│   ├── UnsupportedMediaType  415  not-supported
│   ├── Misdirected           421  security     the request is for another host
│   ├── HeaderTooLong         431  too-long
│   ├── Unprocessable         422  processing   well-formed, but against a business rule
│   ├── TooManyRequests       429  throttled    as many of the kind as are kept; try again
│   ├── Busy                  503  throttled    a limit of time or load; try again
│   │   └── Unreachable       503  transient    the database does not answer, or cannot be used
│   └── InsufficientStorage   507  no-store     the disk is full
├── BudgetSpent               an evaluation costs too much (apothecary.fhir.budgets); whoever asked says what follows
├── RegularExpressionError    no regular expression, or none that runs in linear time; whoever asked says what follows
├── InvalidToken              a signed token is not taken (apothecary.access); whoever asked says what follows
├── OAuthError                400, 401  what the token endpoint answers in OAuth's own form
├── UcumError                 a code that is not a unit (apothecary.fhir.ucum); whoever asked says what follows
└── StartError                the command cannot run: exit status 2
    ├── ContentError          a file of the content is broken: file, line, column, reason
    │   └── BrokenContent     several files are: each at its place
    ├── InvalidFile           a file that people write for Apothecary breaks its schema: every fault at its place
    └── SchemaError           the database is of another version of Apothecary
```
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, get_args

Severity = Literal["fatal", "error", "warning", "information"]

# So many faults of files are told; who mends them runs the check again.
MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to say about a request or a resource.

    `code` is from https://hl7.org/fhir/R5/valueset-issue-type.html; `expression` holds FHIRPath locations; `rule` is
    the stable id of
    the rule that was broken; `pointer` is the JSON path (keys and indexes) from which a position in a file can be
    found. `kind` and `message` are what terminology servers have agreed on: a code of tx-issue-type
    (https://hl7.org/fhir/tools/CodeSystem/tx-issue-type) and the id of the message.
    """

    severity: Severity
    code: str
    diagnostics: str
    expression: tuple[str, ...] = ()
    rule: str | None = None
    remedy: str | None = None
    pointer: tuple[str | int, ...] | None = None
    kind: str | None = None
    message: str | None = None

    @property
    def rank(self) -> int:
        """0 for what is fatal, and more for what is less severe."""
        return _RANKS[self.severity]


_RANKS = {severity: rank for rank, severity in enumerate(get_args(Severity))}


# How many issues one error tells: a body can be wrong in more places than anybody reads about.
MOST_ISSUES = 2_000


def _bounded(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """The issues, the most severe ones where they are very many, and that others are left out."""
    listed = tuple(issues)
    if len(listed) <= MOST_ISSUES:
        return listed
    kept = sorted(listed, key=lambda issue: issue.rank)[:MOST_ISSUES]
    left = len(listed) - MOST_ISSUES
    return (*kept, Issue("warning", "incomplete", f"{left} further issues are left out", remedy="Mend these first."))


class ApothecaryError(Exception):
    """The root of the tree."""


class FhirError(ApothecaryError):
    """An error with an HTTP status, told as one or more issues."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(
        self,
        diagnostics: str,
        *,
        expression: str | Iterable[str] = (),
        code: str | None = None,
        remedy: str | None = None,
        rule: str | None = None,
        issues: Iterable[Issue] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(diagnostics)
        where = (expression,) if isinstance(expression, str) else tuple(expression)
        first = Issue("error", code or self.code, diagnostics, where, rule=rule, remedy=remedy)
        self.issues: tuple[Issue, ...] = _bounded(issues) or (first,)
        self.headers: Mapping[str, str] = headers or {}

    def with_issues(self, issues: Iterable[Issue]) -> Self:
        """The same error, told by other issues."""
        other = copy.copy(self)
        # A copy is made by calling the class with the message, of which some make another.
        other.args = self.args
        other.issues = tuple(issues)
        return other


class BadRequest(FhirError):
    """A parameter, header, path or body breaks a rule of the specification."""

    status = 400
    code = "invalid"


class InvalidContent(BadRequest):
    """A body is not well-formed FHIR."""

    code = "structure"


class NotSupported(BadRequest):
    """The specification knows it; this server does not offer it."""

    code = "not-supported"


class UnknownTerminology(BadRequest):
    """A value set, code system or code that the server does not hold: nothing can be said of what is in it."""

    code = "not-found"


class NotEnumerable(BadRequest):
    """A value set that is held, but whose codes cannot be listed from what is held."""

    code = "not-supported"


class TooCostly(BadRequest):
    """A search asks more than the limits allow, whichever way it is read."""

    code = "too-costly"


class Unauthorized(FhirError):
    status = 401
    code = "login"


class Forbidden(FhirError):
    status = 403
    code = "forbidden"


class NotFound(FhirError):
    status = 404
    code = "not-found"


class MethodNotAllowed(FhirError):
    status = 405
    code = "not-supported"


class NotAcceptable(FhirError):
    status = 406
    code = "not-supported"


class RequestTimeout(FhirError):
    """A body did not arrive in time."""

    status = 408
    code = "timeout"


class Conflict(FhirError):
    status = 409
    code = "conflict"


class Gone(FhirError):
    status = 410
    code = "deleted"


class PreconditionFailed(FhirError):
    status = 412
    code = "conflict"


class TooLarge(FhirError):
    status = 413
    code = "too-long"


class UriTooLong(FhirError):
    status = 414
    code = "too-long"


class UnsupportedMediaType(FhirError):
    status = 415
    code = "not-supported"


class Misdirected(FhirError):
    """The request names a host that is not this server: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20"""

    status = 421
    code = "security"


class HeaderTooLong(FhirError):
    status = 431
    code = "too-long"


class Unprocessable(FhirError):
    status = 422
    code = "processing"


class TooManyRequests(FhirError):
    """There are as many of a kind as the server keeps: https://www.rfc-editor.org/rfc/rfc6585#section-4"""

    status = 429
    code = "throttled"


class Busy(FhirError):
    status = 503
    code = "throttled"


class InsufficientStorage(FhirError):
    status = 507
    code = "no-store"


class Unreachable(Busy):
    code = "transient"


class BudgetSpent(ApothecaryError):
    """An evaluation takes more steps or time than it may; the message says which."""


class RegularExpressionError(ApothecaryError):
    """A text is no regular expression, or none that can be run in linear time and bounded memory."""


class InvalidToken(ApothecaryError):
    """A token, or the assertion of a client, is not one that can be trusted; the message says why, and quotes nothing
    of it.
    """


class OAuthError(ApothecaryError):
    """A request for an access token that is refused: https://www.rfc-editor.org/rfc/rfc6749#section-5.2"""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = 401 if error == "invalid_client" else 400


class StartError(ApothecaryError):
    """The command cannot run as asked."""


class SchemaError(StartError):
    """The database's tables are not the ones that this version of Apothecary uses."""


@dataclass(eq=False)
class ContentError(StartError):
    """A file of the content cannot be used. Line and column count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    reason: str
    issues: tuple[Issue, ...] = field(default=())

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.reason}"


@dataclass(eq=False)
class BrokenContent(ContentError):
    """Several things in the content cannot be used. The place is that of the first; `faults` are all, in order."""

    faults: tuple[ContentError, ...] = ()

    @classmethod
    def of(cls, faults: Sequence[ContentError]) -> ContentError:
        """One error for all of them, of which there is one or more."""
        first = faults[0]
        if len(faults) == 1:
            return first
        return cls(first.file, first.line, first.column, first.reason, first.issues, tuple(faults))

    def __str__(self) -> str:
        """A line for each, but no more than one can read."""
        told = [str(one) for one in self.faults[:MOST_FAULTS]]
        more = len(self.faults) - MOST_FAULTS
        return "\n".join([*told, *([f"and {more} more"] if more > 0 else [])])


@dataclass(eq=False)
class InvalidFile(StartError):
    """A configuration, or another file that people write for Apothecary, is not what its schema asks for."""

    faults: tuple[ContentError, ...]

    def __str__(self) -> str:
        """A line for each fault: `file:line:column: reason`."""
        return "\n".join(map(str, self.faults))


def whence(error: BaseException) -> str:
    """Where an error was raised, as a traceback shows it, without the messages of errors: they quote what was asked for
    and what is stored, and neither belongs in a log.
    """
    from traceback import format_tb

    text = ""
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        kind = type(one)
        here = f"{''.join(format_tb(one.__traceback__))}{kind.__module__}.{kind.__qualname__}\n"
        text = f"{here}which led to\n{text}" if text else here
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return text.rstrip()
