"""facetool: face recognition with the original networks, as a library and a command line."""
