"""`antecache train` and `convert`: from recorded accesses to a server that predicts at once."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from typer.testing import CliRunner

from antecache.predictor import model_file
from antecache.predictor.model_file import load
from antecache.server.__main__ import cli
from antecache.server.app import Server
from antecache.server.config_reading import load as load_config
from antecache.server.errors import ConfigError
from antecache.server.traces import read_trace


def run(*words: object) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words])


def history(path: Path, *, prefix: str = "", count: int = 2500, seed: int = 1) -> Path:
    """Users, each followed by the cart of the same number, in an order without any other rule."""
    rng = random.Random(seed)
    lines = ["time,client,key,size"]
    for at in range(count):
        number = rng.randrange(800)
        lines += [f"{at},c{at % 5},{prefix}a:{number},9", f"{at},c{at % 5},{prefix}b:{number},9"]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "shop.model"
    done = run("train", history(tmp_path / "h.csv"), "-o", path, "--models", "off", "--keys", 100)
    assert done.exit_code == 0, done.output
    return path


def test_train_says_what_it_read_and_what_came_of_it(tmp_path: Path) -> None:
    log = history(tmp_path / "h.csv")
    with log.open("a") as file:
        file.write("\n".join(["", "nonsense", *[f"{9000 + n},bot,a:{n},9" for n in range(400)]]))
    picture = tmp_path / "calibration.png"
    done = run(
        *("train", log, "-o", tmp_path / "m", "--keys", 100, "--never-predict", "b:13 b:14"),
        *("--plot", picture, "--models", "tree"),
    )
    assert done.exit_code == 0, done.output
    for said in (
        "left out bot: 400",
        "left out never: ",
        "lines that could not be read: 1",
        "client bot",
        "candidates are ranked by: ",
        "calibration error 0.",
    ):
        assert said in done.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    saved = load(tmp_path / "m")
    assert saved.cleaned["bot"] == 400
    assert saved.window == (0.0, 2499.0)
    assert 4950 < saved.accesses < 5000
    plan = saved.read_plan()
    assert plan is not None and plan.version and plan.held_out.trials


async def test_a_server_that_starts_from_a_model_predicts_at_once(model: Path) -> None:
    settings = {
        "port": "0",
        "metrics_port": "0",
        "backing": "memory://?prefix=a&prefix=b&rows=2000",
        "model": str(model),
        "models": "off",
        "maxkeys": "300",
    }
    server = Server(load_config(None, {}, settings))
    await server.start()
    try:
        assert server.plan is not None and server.plan.trained_on == 5000
        async with redis.asyncio.Redis(port=server.port) as client:
            for number in range(1000, 1100):  # ids that the history never had
                await client.get(f"a:{number}")
                while server.loader.inflight:
                    await client.ping()
                await client.get(f"b:{number}")
        assert server.ledger.outcomes["useful"] > 80
    finally:
        await server.stop()


def test_training_goes_on_from_a_model(model: Path, tmp_path: Path) -> None:
    more = history(tmp_path / "more.csv", seed=2)
    done = run("train", more, "-o", tmp_path / "m2", "--from", model, "--models", "off")
    assert done.exit_code == 0, done.output
    first, second = load(model), load(tmp_path / "m2")
    assert second.accesses == first.accesses + 5000
    plans = first.read_plan(), second.read_plan()
    assert plans[1].version > plans[0].version  # type: ignore[union-attr]


def test_what_was_learned_is_a_better_start_for_other_keys(tmp_path: Path) -> None:
    """Runs of blocks: the second half has no key of the first, and is read as the first was."""
    rng = random.Random(5)

    def runs(name: str, first: int, count: int) -> Path:
        starts = [first + rng.randrange(10**6) for _ in range(count)]
        blocks = [start + 8 * step for start in starts for step in range(8)]
        path = tmp_path / name
        path.write_text("\n".join(f"{at},c,{block},1" for at, block in enumerate(blocks)))
        return path

    def train(*words: object) -> float:
        done = run("train", *words, "-o", tmp_path / "m", "--models", "off", "--keys", 100)
        assert done.exit_code == 0, done.output
        line = next(line for line in done.output.splitlines() if "waited" in line)
        return float(line.split("replayed: ")[1].split()[0])

    train(runs("first.csv", 10**7, 500))
    (tmp_path / "m").replace(tmp_path / "first.model")
    other = runs("other.csv", 5 * 10**7, 60)
    assert train(other, "--from", tmp_path / "first.model") < 0.8 * train(other)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nothing.csv"], "nothing.csv: No such file"),
        (["h.csv", "--models", "oracle"], "--models: 'oracle' is none of off, auto, linear"),
        (["h.csv", "--predictor", "tarot"], "--predictor: 'tarot' is none of"),
        (["h.csv", "--memory", "much"], "--memory: "),
        (["h.csv", "--plot", "x.exe"], "--plot: 'x.exe' ends in none of"),
        (["h.csv", "--from", "h.csv"], "h.csv: is no model of antecache"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    history(tmp_path / "h.csv", count=20)
    done = run("train", *words, "-o", "m")
    assert done.exit_code == 2
    assert done.stderr.startswith("antecache: ") and reason in done.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("spoil", [lambda d: d[:-9], lambda d: d[:99] + b"?" + d[100:], bytes])
def test_a_spoiled_model_keeps_the_server_from_starting(model: Path, spoil: Any) -> None:
    data = model.read_bytes()
    spoiled = spoil(data) if spoil is not bytes else b""
    model.write_bytes(spoiled)
    done = run("serve", "--model", model, "--port", "0", "--metrics-port", "0")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"antecache: model: {model}: ")


def test_a_state_that_is_no_state_is_refused(model: Path, tmp_path: Path) -> None:
    import msgspec

    saved = msgspec.structs.replace(load(model), state=b"\x93\xc0\xc0\xc0")
    model_file.save(model, saved)
    done = run("serve", "--model", model, "--port", "0", "--metrics-port", "0")
    assert done.exit_code == 2
    assert "cannot be used" in done.stderr


def test_accesses_go_to_parquet_and_back(tmp_path: Path) -> None:
    monitor = tmp_path / "capture.log"
    monitor.write_text(
        'OK\n1.5 [0 127.0.0.1:5] "get" "a:1"\n2.5 [0 127.0.0.1:6] "mget" "a:1" "with,comma"\n'
        '3.5 [0 127.0.0.1:6] "set" "x" "y"\n'
    )
    for name in ("t.parquet", "t.csv", "t.csv.gz"):
        done = run("convert", monitor, "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert "3 accesses" in done.output
        trace = read_trace(str(tmp_path / name))
        assert [trace.keys[number] for number in trace.ids] == [b"a:1", b"a:1", b"with,comma"]
        assert list(trace.times) == [1.5, 2.5, 2.5]
        assert trace.client_names[trace.clients[0]] == b"127.0.0.1:5"
    assert run("convert", monitor, "-o", tmp_path / "t.xml").exit_code == 2
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    done = run("convert", tmp_path / "bad.parquet", "-o", tmp_path / "t.csv")
    assert done.exit_code == 2 and "bad.parquet" in done.stderr


async def test_the_access_log_of_a_server_is_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "accesses.csv"
    settings = {
        "port": "0",
        "metrics_port": "0",
        "backing": "memory://?prefix=a&rows=50",
        "access_log": str(path),
        "models": "off",
    }
    server = Server(load_config(None, {}, settings))
    await server.start()
    try:
        async with redis.asyncio.Redis(port=server.port) as client:
            await client.execute_command("PREDICTOR", "SESSION", "ann")
            for key in ("a:1", "a:2", "a:1", "odd,key"):
                await client.get(key)
            while not path.exists() or path.read_text().count("\n") < 5:
                await client.ping()
    finally:
        await server.stop()
    lines = path.read_text().splitlines()
    assert [line.split(",")[-1] for line in lines[1:]] == ["miss", "miss", "hit", "miss"]
    trace = read_trace(str(path))
    assert [trace.keys[number] for number in trace.ids] == [b"a:1", b"a:2", b"a:1", b"odd,key"]
    assert len(set(trace.clients)) == 1
    assert 'odd,key",1,miss' in lines[4]


def test_a_model_of_another_predictor_is_refused(model: Path) -> None:
    done = run("serve", "--model", model, "--predictor", "misslog", "--port", "0")
    assert done.exit_code == 2
    assert "made by predictor 'blend'" in done.stderr
    assert issubclass(ConfigError, Exception)
