"""Clocks, memory meters and tables for measuring how fast and how large things are."""
