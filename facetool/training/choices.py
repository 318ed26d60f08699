"""The choices of a training run. Light: torch is not imported."""

OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("constant", "step", "cosine", "polynomial")
