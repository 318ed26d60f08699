"""Verification figures: pairs, protocols, ROC curves and their pictures."""
