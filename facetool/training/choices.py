"""What a training can be asked for. Light: torch is not imported."""

OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("constant", "step", "cosine", "polynomial")
