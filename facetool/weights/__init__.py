"""Reading weights files of every origin, and the catalogue of published ones."""
