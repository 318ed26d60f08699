"""From embeddings to names: classifiers, the open set, groups and outliers."""
