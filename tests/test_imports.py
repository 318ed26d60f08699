"""Packages import only what stands below them, and importing changes nothing outside facetool."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import facetool

ROOT = Path(facetool.__file__).parent

LEVELS = (
    ("cli",),
    ("reports", "server"),
    ("pipeline", "sample"),
    ("plots",),
    ("training", "profiling", "runners"),
    ("cropping", "embedding"),
    ("classification",),
    ("evaluation", "detection"),
    ("weights",),
    ("networks",),
    ("alignment",),
    ("images",),
    ("files",),
    ("jobs",),
    ("errors", "_version"),
)
"""Packages from the top to the bottom; those of one level do not know each other."""

LEVEL = {package: level for level, packages in enumerate(LEVELS) for package in packages}


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and package of each import from facetool, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports by full names, please"
            module = node.module or ""
            names = [f"facetool.{one.name}" for one in node.names] * (module == "facetool")
            names = names or [module]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        else:
            continue
        for name in names:
            if name.startswith("facetool."):
                yield node.lineno, name.split(".")[1]


def test_every_package_has_a_level() -> None:
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert there | {"errors", "_version"} == set(LEVEL)


@pytest.mark.slow
def test_packages_import_only_what_is_below_them() -> None:
    wrong = []
    for path in ROOT.glob("*/**/*.py"):
        package = path.relative_to(ROOT).parts[0]
        for line, other in _imports(path):
            if other != package and LEVEL[other] <= LEVEL[package]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {other}")
    assert not wrong


def test_contributing_says_the_same() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text("utf-8")
    order = " → ".join(
        ", ".join(f"`{package}`" for package in packages) for packages in LEVELS[:-1]
    )
    assert order + " → `errors`" in " ".join(text.split())


@pytest.mark.slow
def test_importing_changes_no_setting_of_others() -> None:
    script = """
import os, sys, warnings
import cv2, matplotlib, numpy, PIL.Image, sklearn, torch
log = cv2 if hasattr(cv2, "getLogLevel") else cv2.utils.logging
def settings():
    return (
        dict(os.environ), list(warnings.filters), PIL.Image.MAX_IMAGE_PIXELS,
        cv2.getNumThreads(), log.getLogLevel(), cv2.ocl.useOpenCL(),
        torch.get_num_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(),
        dict(matplotlib.rcParams),
        numpy.geterr(), numpy.get_printoptions(), sys.getrecursionlimit(),
    )
before = settings()
import pkgutil, facetool
for module in pkgutil.walk_packages(facetool.__path__, "facetool."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
for name in dir(facetool):
    getattr(facetool, name)
for one, other in zip(before, settings()):
    assert one == other, (one, other)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
