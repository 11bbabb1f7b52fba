"""Karbor: application data protection for OpenStack, restored by its protection plug-ins themselves."""
