"""``python -m tests.peft_suite``: PEFT's own tests on VeRA and on our two methods, as a table in Markdown."""

from __future__ import annotations

import sys

from tests.peft_suite.rows import METHODS
from tests.peft_suite.run import FILES, Outcome, run_file


def main() -> int:
    """Print the table, why tests were skipped, and the failures; 1 if there are any."""
    outcomes = {(file, method): outcome for file in FILES for method, outcome in run_file(file).items()}
    print("| File | Method | Passed | Skipped | Failed |\n|---|---|---:|---:|---:|")
    for (file, method), outcome in outcomes.items():
        print(f"| {file} | {method} | {outcome.passed} | {outcome.skipped} | {outcome.failed} |")
    for method in METHODS:
        mine = [outcome for (_, name), outcome in outcomes.items() if name == method]
        print(f"| all | {method} | {' | '.join(str(number) for number in _sums(mine))} |")
    for (file, method), outcome in outcomes.items():
        for reason, number in outcome.reasons.items():
            print(f"{file}, {method}: {number} skipped: {reason}")
    failures = [failure for outcome in outcomes.values() for failure in outcome.failures]
    print("\n\n".join(failures))
    return 1 if failures else 0


def _sums(outcomes: list[Outcome]) -> tuple[int, int, int]:
    return (
        sum(outcome.passed for outcome in outcomes),
        sum(outcome.skipped for outcome in outcomes),
        sum(outcome.failed for outcome in outcomes),
    )


if __name__ == "__main__":
    sys.exit(main())
