"""Files that appear whole or not at all, and small readers shared by all stages."""
