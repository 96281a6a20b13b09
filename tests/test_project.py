"""What the project promises about itself: the packages it lists, the way it imports, its docs.

What this file does not do: format, lint, types and layers; `make check` runs the tools for those.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("policies", "predictor", "server")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SOURCES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_packages_are_the_folders_that_hold_python() -> None:
    folders = {path.parent.relative_to(ROOT) for path in SOURCES}
    found = {".".join(("antecache", *folder.parts)) for folder in folders}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert set(listed) == found
    assert len(listed) == len(set(listed))


def test_every_package_folder_has_an_init() -> None:
    bare = {relative(path.parent) for path in SOURCES if not (path.parent / "__init__.py").exists()}
    assert not bare


def test_packages_are_typed() -> None:
    for name in FOLDERS:
        assert (ROOT / name / "py.typed").exists()
        assert PROJECT["tool"]["setuptools"]["package-data"][f"antecache.{name}"] == ["py.typed"]


def test_the_root_is_no_package() -> None:
    assert not (ROOT / "__init__.py").exists()


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=relative)
def test_a_file_opens_by_saying_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    if path.name == "__init__.py" and not text.strip():
        return
    said = ast.get_docstring(ast.parse(text))
    assert said, "the file has no docstring"
    assert len(said.split()) >= 5


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=relative)
def test_imports_are_absolute(path: Path) -> None:
    """Under its bare name a folder would be loaded a second time, with tables of its own."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        bare = {name for name in names if name.partition(".")[0] in (*FOLDERS, "tests")}
        assert not bare, f"line {node.lineno}: {bare} lacks the antecache. in front"


def test_the_server_starts_without_what_was_not_chosen() -> None:
    """A plain cache needs no database driver, and scikit-learn only ever runs in the trainer."""
    code = (
        "import json, sys; import antecache.server.__main__, antecache.server.app; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    unchosen = {"aiosqlite", "asyncmy", "asyncpg", "psycopg", "redis", "scipy", "sklearn", "pandas"}
    assert not unchosen & set(json.loads(answer.stdout))


def test_every_dependency_says_since_when() -> None:
    """Without a lower bound, an old release that lacks what we call would satisfy pip."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    for requirement in chain(PROJECT["project"]["dependencies"], *extras):
        assert ">=" in requirement or requirement.startswith("antecache["), requirement


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_files_that_the_docs_name_exist(name: str) -> None:
    named = re.findall(r"`([\w./-]+/[\w./-]*)`", (ROOT / name).read_text("utf-8"))
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_every_target_of_the_makefile_is_explained() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY:")).split()[1:]
    for target in phony:
        assert any(line.startswith(f"{target}:") and "## " in line for line in text.splitlines()), (
            target
        )
