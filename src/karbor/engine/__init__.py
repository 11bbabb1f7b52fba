"""Runs verbs over graphs of resources: in order, in parallel, durably, and back again."""
