"""What a search says of the parameters that it does not understand: https://hl7.org/fhir/R5/search.html#errors"""

from __future__ import annotations

from dataclasses import dataclass, field

from apothecary.errors import BadRequest, Issue, NotSupported


@dataclass(slots=True)
class Handling:
    """How one request's parameters are handled, and what the answer will say of them."""

    strict: bool = False
    issues: list[Issue] = field(default_factory=list)

    def unknown(self, name: str, reason: str, shown: str, *, wider: bool = True, meant: str | None = None) -> None:
        """Report a parameter that does not run: a warning in the answer, or NotSupported when the client asked for
        strictness.

        `wider` says that it would have left out matches; `meant` is what to write instead.
        """
        remedy = meant or "Leave it out, or see the searchParam list in [base]/metadata."
        if self.strict:
            raise NotSupported(f"{reason} ({shown})", expression=name, remedy=remedy)
        self.issues.append(
            Issue(
                "warning",
                "not-supported",
                f"{reason}; {shown} was ignored" + (", so the answer is wider than asked for" if wider else ""),
                (name,),
                remedy=remedy,
            )
        )

    def fruitless(self, name: str, reason: str) -> None:
        """Report a value that nothing can have: a warning in the answer, or BadRequest when the client asked for
        strictness.
        """
        if self.strict:
            raise BadRequest(f"{name}: {reason}", expression=name, code="value")
        issue = Issue("warning", "value", f"{name}: {reason}, so nothing matches that", (name,))
        # A chain over several types comes here once for each.
        if issue not in self.issues:
            self.issues.append(issue)

    def tell(self, issue: Issue) -> None:
        """Say something of a parameter that runs, though not as the client may think."""
        self.issues.append(issue)
