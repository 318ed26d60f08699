"""Running work over many photos: worker pools, progress bars, the report with the exit code."""
