"""Nova: servers, key pairs, server groups and flavors. Importing it registers its routes."""

from karbor.sandbox.compute import (  # noqa: F401
    about,
    actions,
    attachments,
    build,
    flavors,
    interfaces,
    keypairs,
    metadata,
    server_groups,
    servers,
    snapshots,
    tags,
)
