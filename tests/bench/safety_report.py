"""What the safety bench found: values, what they may be, and whether they are.

What this file does not do: measure (`safety.py`).
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

console = Console()


class Findings:
    """Lines of the report: case, what, value, bound, and whether it holds."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, float, str, float]] = []

    def at_most(self, case: str, what: str, value: float, bound: float) -> None:
        """Note a value that must not exceed `bound`."""
        self._note(case, what, value, "<=", bound)

    def at_least(self, case: str, what: str, value: float, bound: float) -> None:
        """Note a value that must reach `bound`."""
        self._note(case, what, value, ">=", bound)

    def _note(self, case: str, what: str, value: float, sign: str, bound: float) -> None:
        self.lines.append((case, what, value, sign, bound))
        console.print(f"  {case}: {what}: {value:.6g} ({sign} {bound:.6g})")

    @property
    def missed(self) -> list[str]:
        """Names of the lines that do not hold."""
        return [
            f"{case}: {what}"
            for case, what, value, sign, bound in self.lines
            if not (value <= bound if sign == "<=" else value >= bound)
        ]

    def show(self) -> None:
        """Print all as a table."""
        shown = Table()
        for title in ("case", "measured", "value", "bound", ""):
            shown.add_column(title, justify="right" if title in ("value", "bound") else "left")
        for case, what, value, sign, bound in self.lines:
            good = f"{case}: {what}" not in self.missed
            verdict = "ok" if good else "MISSED"
            shown.add_row(case, what, f"{value:,.4g}", f"{sign} {bound:,.4g}", verdict)
        console.print(shown)
