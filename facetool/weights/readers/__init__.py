"""Readers for other frameworks' weights files."""
