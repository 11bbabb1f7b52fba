"""Puts the service together from its settings and serves it, in one process or in several."""
