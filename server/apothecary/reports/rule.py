"""One rule as Markdown, for the page of all rules and for `apothecary explain`."""

from __future__ import annotations

from apothecary.reports.report import RuleText


def markdown(rule: RuleText, language: str = "json", heading: str = "###") -> str:
    """What the rule asks, why, an example that breaks it, and how to mend it. `language` is that of the example."""
    what = rule.what if rule.what.endswith((".", "!", "?")) else f"{rule.what}."
    return (
        f"{heading} {rule.id}\n\n{what} ({rule.severity}, `{rule.code}`)\n\nWhy: {rule.why}\n\n"
        f"```{language}\n{rule.example}\n```\n\n{rule.remedy}\n\n"
    )
