"""What classifiers can be trained with. Light: training itself needs scikit-learn."""

DEFAULT_FPIR = 0.01
"""Share of strangers that may be given a name."""
