"""Medication rules."""
from server.validation.rules import Rule
MEDICATION_RULES: tuple[Rule, ...] = ()
