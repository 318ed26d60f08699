"""``python -m facetool`` and the ``facetool`` command."""

from facetool.cli.main import main

if __name__ == "__main__":
    main()
