"""The command line: one file per command, each builds one library call and prints its result.

Importing these modules must stay cheap, so that ``--help`` answers at once: torch, dlib,
scikit-learn and matplotlib are imported inside the functions that need them.
"""
