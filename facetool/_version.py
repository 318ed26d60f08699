"""The version, alone so that builds and ``--version`` read it without importing the package."""

__version__ = "0.2.0"
