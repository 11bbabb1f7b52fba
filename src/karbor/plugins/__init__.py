"""Protection plug-ins: one folder a kind of resource, each with its discovery and its operations."""
