"""The REST API: routes, callers, rights, bodies and faults."""
