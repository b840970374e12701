"""The fault of a text that is no filter: its place, the problem, and the remedy.

Place: filter.parse and filter.predicate raise it → HERE → the page or terminal of the author of the filter.
Rule: every fault has a place and a remedy.
Not here: when there is one.
"""

from __future__ import annotations


class FilterError(ValueError):
    """A text is not a filter. ``at`` is the index of the character at which it goes wrong, from 0."""

    def __init__(self, text: str, at: int, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} at character {at + 1}: {remedy}")
        self.text, self.at, self.problem, self.remedy = text, at, problem, remedy

    def pointed(self) -> str:
        """Return three lines for a terminal: the filter, a mark under the place, problem and remedy."""
        line = "".join(" " if letter.isspace() else letter for letter in self.text)
        return f"{line}\n{' ' * self.at}^\n{self.problem}: {self.remedy}"

    def document(self) -> dict[str, str | int]:
        """Return the members that an answer in JSON has."""
        return {"at": self.at, "problem": self.problem, "remedy": self.remedy}
