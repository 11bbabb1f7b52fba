"""The first version of the API: a module a noun."""
