"""Decoding images and listing where they lie."""
