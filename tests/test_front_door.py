"""``import facetool`` offers a fixed list of names, at once and without torch."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import facetool
from facetool.detection.options import DetectionSettings
from facetool.errors import FacetoolError

COMMANDS = {
    "align",
    "represent",
    "compare",
    "bin_eval",
    "lfw_eval",
    "cluster",
    "identify",
    "find_duplicates",
    "outliers",
    "search",
    "train",
}
PIECES = {"read_image", "detect", "FaceCropper", "load_network", "Embedder"}


def test_the_list_has_what_the_commands_do() -> None:
    assert set(facetool.__all__) >= COMMANDS | PIECES
    assert dir(facetool) == sorted(facetool.__all__)
    kinds: list[type[FacetoolError]] = [FacetoolError, *FacetoolError.__subclasses__()]
    every_error = [one.__name__ for one in kinds if one.__module__ == FacetoolError.__module__]
    assert sorted(facetool.__all__) == sorted([*facetool._PLACES, *every_error, "__version__"])


@pytest.mark.parametrize("name", facetool.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(facetool, name)
    assert name == "__version__" or value.__doc__


def _settings(name: str) -> Mapping[str, inspect.Parameter]:
    value = getattr(facetool, name)
    return inspect.signature(value).parameters if callable(value) else {}


@pytest.mark.parametrize("name", [name for name in facetool.__all__ if "device" in _settings(name)])
def test_devices_are_given_as_on_the_command_line(name: str) -> None:
    device = _settings(name)["device"]
    if name in ("BinEvalResult", "load_network"):  # what it ran on; where weights wait for a device
        return
    assert (device.annotation, device.default) == ("str | torch.device", "auto")


def _is_given_paths(name: str) -> bool:
    return name[0].islower() or name.endswith(("Settings", "Config", "Cropper", "Embedder"))


@pytest.mark.parametrize(
    "function", [*filter(_is_given_paths, facetool.__all__), "DetectionSettings"]
)
def test_paths_may_be_texts(function: str) -> None:
    taken = getattr(facetool, function, DetectionSettings)
    for parameter in inspect.signature(taken).parameters.values():
        assert "Path" not in str(parameter.annotation).replace("str | Path", ""), parameter


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(facetool.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen: dict[str, object] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom) and node.module
        module = importlib.import_module(node.module)
        seen |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    assert seen == {name: getattr(facetool, name) for name in facetool._PLACES}


def test_it_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import sys, time\n"
        "start = time.process_time()\n"
        "import facetool\n"
        "dir(facetool)\n"
        "seconds = time.process_time() - start\n"
        "heavy = {'torch', 'dlib', 'cv2', 'numpy', 'PIL', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert seconds < 0.2, seconds\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'aline'"):
        facetool.aline  # noqa: B018
