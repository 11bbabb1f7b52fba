"""What an answer of a cloud means: the one place where statuses and texts of the services become Karbor's errors."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import requests

from karbor.model.errors import CloudError, Gone, NotNow, OverQuota, Refused, Unauthorized, Unclear

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

FROM_A_PROXY = frozenset({502, 504})
"""Statuses that a proxy gives when the service did not answer it: the request may still be at work."""
LONGEST_PAUSE = 10.0
LONGEST_TEXT = 600

NOT_NOW_TYPES = re.compile(r"^(Network|Subnet|Port|ServicePort|L3Port|Router\w*|SecurityGroup)InUse")
"""Neutron's conflicts that end when something else is gone; a MAC or IP address in use never ends so."""
NOT_NOW_TEXTS = re.compile(
    r"task_state"  # Nova: an action is under way
    r"|still in use|because it is in use|from saving|active task"  # a port, an image
    r"|[Ss]tatus must be|must be one of|must be available|is currently|is busy|already attached"  # Cinder
    r"|ncremental backups exist|dependent backups|must not be",
)
NEVER_TEXTS = re.compile(r"force flag|is locked|vm_state|Unable to authenticate")
SECRETS = re.compile(r"(field/attribute (?:user_data|adminPass|public_key|personality)\b).*", re.DOTALL)
"""Nova's validation repeats the value that it refuses."""


def body_of(cloud: Cloud, response: requests.Response) -> dict[str, Any]:
    """The JSON object of a successful answer, `{}` where it has no body. Raises Unclear where it is something else."""
    if not response.content:
        return {}
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unclear(
            f"{response.request.method} {response.url} of cloud {cloud.name!r}: {response.status_code} "
            "with a body that is no JSON object; is there a proxy between?",
            response.status_code,
        )
    return body


def error_of(cloud: Cloud, method: str, path: str, response: requests.Response) -> CloudError:
    """The error that an unsuccessful answer stands for, with the service's own words in its message."""
    status = response.status_code
    type_, text = said(response)
    message = f"{method} {path} of cloud {cloud.name!r}: {status} {text}"
    return meaning(status, type_, text)(message, 0 if status in FROM_A_PROXY else status)


def meaning(status: int, type_: str, text: str) -> type[CloudError]:
    """Which error a status with the service's word for it (`type_`) and its text is."""
    if status == 401:
        return Unauthorized
    if status == 404:
        # Cinder says 404 too where the object is there and only its backup service is not.
        return Unclear if re.search(r"Service cinder-\w+ could not be found", text) else Gone
    if status in (408, 429) or (status >= 500 and status != 501):
        return Unclear
    if type_ in ("overLimit", "OverQuota") or (status in (403, 413) and re.search(r"\b[Qq]uota\b", text)):
        return OverQuota
    passing = NOT_NOW_TYPES.search(type_) or NOT_NOW_TEXTS.search(text)
    return NotNow if status in (400, 409) and passing and not NEVER_TEXTS.search(text) else Refused


def said(response: requests.Response) -> tuple[str, str]:
    """The service's word for the kind of error (empty where it has none) and its text, on one line."""
    type_, text = "", response.text
    try:
        body = response.json()
    except ValueError:
        body = None
        text = re.sub(r"<head>.*?</head>|<h1>.*?</h1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
        text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    if isinstance(body, dict) and body:
        type_, fault = next(iter(body.items()))
        if isinstance(fault, dict):
            type_, text = str(fault.get("type") or type_), str(fault.get("message") or fault)
        else:
            text = str(fault)
    text = SECRETS.sub(r"\1 (the value is not shown)", " ".join(text.split()))
    return type_, text[:LONGEST_TEXT] or str(response.reason)


def retry_after(response: requests.Response) -> float:
    """The seconds that the service asks to wait, at most 10; 0 where it asks for none."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdigit() else 0.0
