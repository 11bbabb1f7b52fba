"""OpenStack as Karbor uses it: one connection a project, and one Kind for each sort of object."""
