"""From a photo and landmarks to the crop a network expects."""
