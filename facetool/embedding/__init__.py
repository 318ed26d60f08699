"""From crops to embeddings: loading crops, checking their recipe, running the network."""
