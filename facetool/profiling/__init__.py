"""Clocks, memory meters and pictures for measuring how fast and how large things are."""
