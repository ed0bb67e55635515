"""The page of the rules is what the rules say."""

from apothecary.validation import RULES
from scripts.rules_page import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scripts.rules_page"


def test_every_rule_says_what_why_and_how_to_mend_it() -> None:
    for rule in RULES.values():
        assert rule.id == rule.id.lower()
        assert rule.what.endswith(".")
        assert rule.remedy.endswith((".", "?"))
        assert len(rule.why) > 15
        assert rule.example.startswith(("{", "["))
