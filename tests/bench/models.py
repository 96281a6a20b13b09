"""`make bench-models`: counting against scikit-learn's models, on real traces.

For each trace the first accesses are replayed through a cache of 10% of their keys,
as the trainer does with a history, and the candidates whose outcome is known become
trials. Each model is fitted on the older of them and judged on the newest: waits
saved beyond counting's at as many rows, the noise of that, log loss and calibration
error of both, and whether it would take over (`predictor/challenge.py`).

    python tests/bench/models.py [--requests 300000] [--models auto] [TRACE ...]

What this file does not do: replay with the winner; `antecache replay` shows counting.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measure import TRACES

from antecache.server.train import Order, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("traces", nargs="*", type=Path)
    parser.add_argument("--requests", type=int, default=300_000)
    parser.add_argument("--models", default="auto")
    options = parser.parse_args()
    traces = options.traces or sorted(TRACES.glob("*.csv.gz"))
    head = f"{'trace':14}{'trials':>8}{'model':>10}{'gain':>8}{'noise':>7}{'log loss':>10}"
    print(f"{head}{'counting':>9}{'calibr.':>9}{'counting':>9}  adopted")
    for path in traces:
        order = Order(
            paths=[str(path)], memory=8 << 20, models=options.models, limit=options.requests
        )
        _, outcome = train(order)
        name = path.name.partition(".")[0]
        if not outcome.reports:
            print(f"{name:14}too few candidates for a contest")
        for report in outcome.reports:
            print(
                f"{name:14}{report.trials:8,}{report.model:>10}{report.gain:+8.1%}"
                f"{report.noise:7.1%}{report.log_loss:10.4f}{report.champion_log_loss:9.4f}"
                f"{report.calibration_error:9.4f}{report.champion_calibration_error:9.4f}"
                f"  {'yes' if report.adopted else 'no'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
