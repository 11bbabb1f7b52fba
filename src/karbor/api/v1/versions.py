"""What the API says to everybody: its versions, and whether it works."""

from __future__ import annotations

import falcon
import sqlalchemy as sa

from karbor.api.faults import Fault
from karbor.api.paging import base_url
from karbor.api.service import Answer, Service
from karbor.store.database import reading


def index(service: Service, request: falcon.Request) -> Answer:
    """The versions of the API, as 300 Multiple Choices."""
    link = {"rel": "self", "href": f"{base_url(request, service.limits)}/v1/"}
    return Answer({"versions": [{"id": "v1.0", "status": "CURRENT", "links": [link]}]}, 300)


def health(service: Service, request: falcon.Request) -> Answer:
    """Whether the API can answer, for whoever spreads the load; 503 where it has no database."""
    try:
        with reading(service.database) as connection:
            connection.execute(sa.select(1))
    except sa.exc.SQLAlchemyError as error:
        raise Fault(503, f"the database does not answer: {type(error).__name__}") from error
    return Answer({"status": "ok"})
