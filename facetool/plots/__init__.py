"""Every figure that facetool draws, in one style."""
