"""`make test-clients`: stock client libraries and frameworks, each doing what its users do with it.

Every script in `python/` and `node/` is a small application of one library. A Python
script names what it needs, and the protocols its library speaks, in the block that
PEP 723 defines; it gets an environment of its own under `.clients/`, since no two of
these libraries have to agree on a version of redis-py. The packages of the Node
scripts stand in `node/package.json`. A script is told where the server is by
ANTECACHE_PORT and which protocol to speak by ANTECACHE_RESP, and fails by exit code.

What this file does not do: know what any library is for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import redis
from rich.console import Console
from rich.table import Table

from antecache.server.spawn import start

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOMES = ROOT / ".clients"
PATIENCE = 120  # seconds for one script
METADATA = re.compile(r"(?m)^# /// script\n((?:#.*\n)+?)# ///$")

console = Console()


class Script(NamedTuple):
    """One application: its file, the library it shows, and the protocols that library speaks."""

    path: Path
    library: str
    protocols: list[int]
    needs: list[str]


class Result(NamedTuple):
    """What came of one script over one protocol; `error` is empty when it did what it should."""

    script: Script
    version: str
    protocol: int
    seconds: float
    error: str


def main() -> int:
    """Run the scripts asked for (all without a name); 1 when one failed."""
    parser = argparse.ArgumentParser(prog="test-clients", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", help="libraries, such as celery or ioredis; default all"
    )
    wanted = parser.parse_args().names
    scripts = [script for script in _scripts() if not wanted or script.path.stem in wanted]
    results: list[Result] = []
    with start({}) as server:
        for script in scripts:
            for result in _run(script, server.port):
                mark = "ok" if not result.error else "FAILED"
                console.print(
                    f"{result.script.library} {result.version} RESP{result.protocol}: {mark}"
                )
                if result.error:
                    console.print(result.error, style="red", markup=False, highlight=False)
                results.append(result)
            if not server.running:
                console.print("the server has died:", server.complaints())
                return 1
    _show(results)
    return int(any(result.error for result in results) or not results)


def _scripts() -> Iterator[Script]:
    for path in sorted((HERE / "python").glob("*.py")):
        found = METADATA.search(path.read_text("utf-8"))
        if found is None:
            raise SystemExit(f"{path}: says nothing of what it needs (PEP 723)")
        lines = (line[2:] for line in found[1].splitlines())
        data = tomllib.loads("\n".join(lines))
        settings = data["tool"]["antecache"]
        yield Script(path, settings["library"], settings["protocols"], data["dependencies"])
    if shutil.which("npm") is None:
        console.print("npm is not installed: the Node libraries are skipped")
        return
    packages = json.loads((HERE / "node" / "package.json").read_text("utf-8"))["antecache"]
    for path in sorted((HERE / "node").glob("*.mjs")):
        yield Script(path, path.stem, packages[path.stem], [])


def _run(script: Script, port: int) -> Iterator[Result]:
    try:
        command, version = (_python if script.path.suffix == ".py" else _node)(script)
    except subprocess.CalledProcessError as error:
        text = f"cannot be installed: {(error.stderr or '').strip()[-500:]}"
        yield Result(script, "", 0, 0.0, text)
        return
    for protocol in script.protocols:
        with redis.Redis(port=port) as client:
            client.flushall()
        began = time.monotonic()
        environment = {
            **os.environ,
            "ANTECACHE_PORT": str(port),
            "ANTECACHE_RESP": str(protocol),
            "PYTHONWARNINGS": "ignore",
        }
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=PATIENCE,
                check=False, cwd=script.path.parent,
            )  # fmt: skip
            error = "" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-2000:]
            error = error or (f"exit code {done.returncode}" if done.returncode else "")
        except subprocess.TimeoutExpired:
            error = f"did not end within {PATIENCE} s"
        yield Result(script, version, protocol, time.monotonic() - began, error)


def _python(script: Script) -> tuple[list[str], str]:
    """The command that runs a script in its own environment, and its library's version."""
    digest = hashlib.sha256(repr(script.needs).encode()).hexdigest()[:12]
    home = HOMES / "python" / f"{script.path.stem}-{digest}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        _quietly([sys.executable, "-m", "venv", str(home)])
        _quietly([str(python), "-m", "pip", "install", "-q", *script.needs])
        (home / "complete").touch()
    name = re.split(r"[\[<>=!~ ]", script.needs[0])[0]
    code = f"from importlib.metadata import version; print(version({name!r}))"
    # -P: the script celery.py is not the module celery.
    return [str(python), "-P", str(script.path)], _quietly([str(python), "-c", code]).strip()


def _node(script: Script) -> tuple[list[str], str]:
    """As `_python`; all Node scripts share one folder of packages."""
    home = HOMES / "node"
    home.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "node" / "package.json").read_text("utf-8")
    listed = home / "package.json"
    if not (home / "complete").exists() or listed.read_text("utf-8") != wanted:
        (home / "complete").unlink(missing_ok=True)
        listed.write_text(wanted, "utf-8")
        _quietly(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home)])
        (home / "complete").touch()
    # Modules are looked for beside the script, so it runs from where they are.
    copy = home / script.path.name
    shutil.copyfile(script.path, copy)
    manifest = home / "node_modules" / script.library / "package.json"
    return ["node", str(copy)], json.loads(manifest.read_text("utf-8"))["version"]


def _quietly(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return done.stdout


def _show(results: list[Result]) -> None:
    table = Table(title="stock libraries against antecache")
    for heading in ("library", "version", "RESP", "seconds", ""):
        table.add_column(heading)
    for result in results:
        table.add_row(
            result.script.library,
            result.version,
            str(result.protocol),
            f"{result.seconds:.1f}",
            "FAILED" if result.error else "ok",
        )
    console.print(table)
    good = sum(not result.error for result in results)
    console.print(f"{good} of {len(results)} passed")


if __name__ == "__main__":
    sys.exit(main())
