"""Nouns and laws of data protection: standard library only, no input or output."""
