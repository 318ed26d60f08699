"""``import facetool`` offers a fixed list of names, at once and without torch."""

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

import numpy as np
import pytest
from numpy.typing import NDArray

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


def _is_array(value: object) -> bool:
    return value is NDArray or get_origin(value) is np.ndarray


def _with_arrays(kind: type, seen: set[type]) -> Iterator[tuple[type, dataclasses.Field[Any]]]:
    """The fields of a dataclass, and of those that are its values, that hold arrays."""
    seen.add(kind)
    for field in dataclasses.fields(kind):
        for word in re.findall(r"\w+", re.sub(r"Callable.*", "", str(field.type))):
            value = getattr(sys.modules[kind.__module__], word, None)
            if _is_array(value):
                yield kind, field
            elif isinstance(value, type) and dataclasses.is_dataclass(value) and value not in seen:
                yield from _with_arrays(value, seen)


def test_no_equality_compares_arrays() -> None:
    """What numpy says of two arrays is neither true nor false, and arrays have no hash."""
    public = [getattr(facetool, name) for name in facetool.__all__]
    seen: set[type] = set()
    kinds = [one for one in public if isinstance(one, type) and dataclasses.is_dataclass(one)]
    found = [pair for kind in kinds if kind not in seen for pair in _with_arrays(kind, seen)]
    assert {facetool.Face, facetool.Embeddings, facetool.PhotoFace} <= {kind for kind, _ in found}
    compared = [
        (kind.__name__, field.name)
        for kind, field in found
        if kind.__dataclass_params__.eq and field.compare  # type: ignore[attr-defined]
    ]
    assert not compared


def test_faces_are_equal_to_themselves() -> None:
    box = facetool.Box(1, 2, 30, 40)
    face, same, other = (facetool.Face(box, 1.0, np.full((5, 2), one)) for one in (1.0, 1.0, 2.0))
    assert face == same and face != other and face != box and len({face, same, other}) == 2
    assert [face, other].index(other) == 1
    crops = np.ones((2, 4, 4, 3), np.uint8)
    people = [facetool.NamedFace("Ann", 0.9, 0.9, box, crop=crop) for crop in crops]
    assert people[0] == people[1] and len(set(people)) == 1
    one, two = (facetool.PhotoFace("a.jpg", 1, box, np.ones(3, np.float32)) for _ in range(2))
    results = [facetool.Comparison(one, two, 0.0, 1.0, True) for _ in range(2)]
    assert results[0] == results[1] and len(set(results)) == 1


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
