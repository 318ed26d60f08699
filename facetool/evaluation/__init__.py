"""Verification metrics: pairs, protocols and ROC curves."""
