"""`make bench-models`: counting against scikit-learn's models, on real traces.

Every trace is replayed (`antecache replay`, unit `total`) without prediction, with
counting alone, and with the models that may take over, as the server does. For each
trace one line for each of these, and one for each model of the last contest:

    candidates   those judged: the newest three tenths, that nothing was learned from
    AUC          probability that a candidate that was asked for scores above one that was not
    log loss     of the probabilities; `calibr.`: mean distance from what came true, in ten bins
    saved        waits that the candidates of highest score would have saved, at as many rows
    gain, noise  waits saved beyond counting's, and the standard error of that
    compiled     log loss that a model loses when it is compiled into a Plan
    waits, rows  of the whole replay: reads that waited; rows, over those without prediction
    us           CPU of prediction for each access, in microseconds: replay with it less without;
                 learning, which a server leaves to a process of its own, is in it
    memory       what prediction remembers at the end

Where there were too few candidates for a contest, one is held at the end for the
table only. Below the table: what was predicted against what came true, by counting,
on the newer half of the candidates.

    python tests/bench/models.py [--requests 400000] [--models auto] [--traces orm_busy,web12]

What this file does not do: judge (`predictor/models.py`), or use a server.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

from charts import beside, reliability, save_svg
from measure import TRACES

from antecache.predictor import judging
from antecache.predictor.challenge import LEAST_TRIALS
from antecache.predictor.judging import Bin
from antecache.predictor.models import Report
from antecache.server.replay import Replay, Result
from antecache.server.replay_setup import Advice
from antecache.server.sweep import Task, parse_size, run
from antecache.server.traces import Trace, read_trace

HEAD = (
    f"{'trace':14}{'ranked by':12}{'candidates':>10}{'AUC':>6}{'log loss':>9}{'calibr.':>8}"
    f"{'saved':>8}{'gain':>8}{'noise':>7}{'compiled':>9}{'waits':>7}{'rows':>6}{'us':>6}"
    f"{'memory':>9}  adopted"
)
#: fewer candidates say nothing
FEWEST = 1000


@dataclass
class Contest:
    """What is left of a replay: the last contest, and the calibration of counting."""

    reports: list[Report] = field(default_factory=list)
    bins: list[Bin] = field(default_factory=list)
    resolved: int = 0

    def look(self, replay: Replay) -> None:
        """Keep it; hold a contest when there was none."""
        assert replay.prediction is not None
        challenge = replay.prediction.trainer.challenge
        trials = challenge.trials.columns()
        self.resolved = challenge.trials.seen
        newer = trials.part(len(trials) // 2, len(trials))
        self.bins = judging.reliability(newer.estimates, newer.hits)
        if not challenge.reports and len(trials) >= FEWEST:
            for _ in challenge.hold():
                pass
        self.reports = challenge.reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="traces of your own")
    parser.add_argument("--traces", default="", help="names of recorded ones, with commas")
    parser.add_argument("--requests", type=int, default=400_000, help="of each trace, 0: all")
    parser.add_argument("--models", default="auto")
    parser.add_argument("--size", default="5%")
    parser.add_argument("--value-size", type=int, default=1000)
    parser.add_argument("--policy", default="s3fifo")
    parser.add_argument("--svg", type=Path, help="the diagrams of calibration as a picture")
    options = parser.parse_args()
    names = [name for name in options.traces.split(",") if name]
    paths = options.files + [TRACES / f"{name}.csv.gz" for name in names]
    print(HEAD)
    charts = []
    for path in paths or sorted(TRACES.glob("*.csv.gz")):
        task = Task(
            path=str(path),
            size=parse_size(options.size, "total"),
            unit="total",
            policy=options.policy,
            value_size=options.value_size,
            limit=options.requests,
        )
        trace = read_trace(str(path), limit=options.requests)
        contest = measure(task, trace, options.models)
        if contest.bins:
            charts.append(reliability(trace.name, contest.bins))
    shown = beside(charts)
    print("\nasked for in time (up) against predicted, by counting, on later candidates\n")
    print("\n".join(shown))
    if options.svg is not None:
        save_svg(shown, options.svg, "predicted against measured")


def measure(task: Task, trace: Trace, models: str) -> Contest:
    """Replay a trace three times, and print its lines."""
    contest = Contest()
    without = run(task, trace).result
    predicting = replace(task, predictor="blend")
    counting = run(predicting, trace).result
    both = replace(predicting, advice=Advice(models=models))
    competed = run(both, trace, look=contest.look).result
    few = contest.resolved < LEAST_TRIALS
    print(f"{trace.name:14}{'nothing':12}{'':65}{cost(without, without)}", flush=True)
    judged = ""
    if contest.reports:
        first = contest.reports[0]
        judged = figures(
            first.trials,
            first.champion_auc,
            first.champion_log_loss,
            first.champion_calibration_error,
            first.champion_saved,
        )
    print(f"{'':14}{'counting':12}{judged:65}{cost(counting, without)}")
    for one in contest.reports:
        line = figures(one.trials, one.auc, one.log_loss, one.calibration_error, one.saved)
        line += f"{one.gain:+8.1%}{one.noise:7.1%}{one.compile_loss:+9.4f}"
        told = "too few candidates for a contest" if few else one.reason
        print(f"{'':14}{'  ' + one.model:12}{line:65}{'':28}  {told}")
    contests = f"{competed.ranker} after {competed.contests} contests"
    if not competed.contests:
        contests = f"no contest: {contest.resolved:,} candidates, {LEAST_TRIALS:,} are needed"
    print(f"{'':14}{'with models':12}{'':65}{cost(competed, without)}  {contests}\n", flush=True)
    return contest


def figures(trials: int, auc: float, log_loss: float, calibration: float, saved: float) -> str:
    """How good scores were on the candidates that were judged."""
    return f"{trials:10,}{auc:6.3f}{log_loss:9.4f}{calibration:8.4f}{saved:8,.0f}"


def cost(result: Result, without: Result) -> str:
    """Waits a request, rows, CPU an access, and memory."""
    spent = (result.seconds - without.seconds) / result.requests * 1e6
    remembered = result.metadata_bytes - without.metadata_bytes
    return (
        f"{result.waits / result.requests:7.4f}{result.rows / without.rows:6.2f}"
        f"{spent:6.1f}{remembered / 1000:6,.0f} kB"
    )


if __name__ == "__main__":
    main()
