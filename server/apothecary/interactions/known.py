"""What was worked out from value sets and code systems: expansions cost more than searches do."""

from __future__ import annotations

from typing import Any

Answers = dict[tuple[str, ...], Any]

# Each value set leaves a few answers, one for each way it is named.
_REMEMBERED = 5000


class Known:
    """What was worked out from the value sets and code systems of a store, until one of them changes."""

    def __init__(self) -> None:
        self._held: tuple[tuple[int, ...], Answers] = ((), {})

    def of(self, generation: tuple[int, ...]) -> Answers:
        """The answers of that generation; those of another are forgotten."""
        known, answers = self._held
        if known != generation or len(answers) > _REMEMBERED:
            answers = {}
            self._held = (generation, answers)
        return answers
