"""What each answer of a service becomes: statuses and texts as the real services give them."""

from __future__ import annotations

import json

import pytest
import requests

from karbor.cloud.answers import meaning, retry_after, said
from karbor.model.errors import CloudError, Gone, NotNow, OverQuota, Refused, Unauthorized, Unclear

IN_THE_WAY = (
    "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing "
    "and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated "
    "from snapshots after volume transfer."
)


@pytest.mark.parametrize(
    ("status", "type_", "text", "error"),
    [
        (400, "badRequest", "Invalid input for field/attribute size. Value: -1.", Refused),
        (400, "badRequest", IN_THE_WAY, NotNow),
        (400, "badRequest", "Invalid backup: Backup status must be available or error", NotNow),
        (400, "badRequest", "Invalid backup: Incremental backups exist for this backup.", NotNow),
        (400, "badRequest", "Backing up an in-use volume must use the force flag.", Refused),
        (400, "badRequest", "Invalid backup: No backups available to do an incremental backup.", Refused),
        (400, "badRequest", "Invalid volume: volume 1 already attached", NotNow),
        (401, "unauthorized", "The request you have made requires authentication.", Unauthorized),
        (403, "forbidden", "Policy doesn't allow os_compute_api:servers:create:zone_forced", Refused),
        (403, "forbidden", "Quota exceeded for cores: Requested 4, but already used 8 of 10 cores", OverQuota),
        (403, "forbidden", "Quota exceeded, too many key pairs.", OverQuota),
        (403, "forbidden", "Maximum number of metadata items exceeds 128", Refused),
        (404, "itemNotFound", "Volume 1 could not be found.", Gone),
        (404, "itemNotFound", "Service cinder-backup could not be found.", Unclear),
        (405, "", "Method Not Allowed", Refused),
        (406, "computeFault", "Version 2.999 is not supported by the API.", Refused),
        (408, "", "Request Timeout", Unclear),
        (409, "OverQuota", "Quota exceeded for resources: ['network'].", OverQuota),
        (409, "conflictingRequest", "Cannot 'stop' instance 1 while it is in task_state image_snapshot", NotNow),
        (409, "conflictingRequest", "Cannot 'start' instance 1 while it is in vm_state active", Refused),
        (409, "conflictingRequest", "Instance 1 is locked", Refused),
        (409, "conflictingRequest", "Port 1 is still in use.", NotNow),
        (409, "PortInUse", "Unable to complete operation on port 1. Port already has a device.", NotNow),
        (409, "NetworkInUse", "Unable to complete operation on network 1.", NotNow),
        (409, "SubnetInUse", "Unable to complete operation on subnet 1.", NotNow),
        (409, "RouterInUse", "Router 1 still has ports", NotNow),
        (409, "SecurityGroupInUse", "Security Group 1 in use.", NotNow),
        (409, "RouterInterfaceInUseByFloatingIP", "Router interface for subnet 1 is required by floating IPs.", NotNow),
        (409, "RouterExternalGatewayInUseByFloatingIp", "Gateway cannot be updated", NotNow),
        (409, "MacAddressInUse", "The mac address fa:16:3e:00:00:01 is in use.", Refused),
        (409, "IpAddressAlreadyAllocated", "IP address 10.0.0.1 already allocated in subnet 1", Refused),
        (409, "GatewayConflictWithAllocationPools", "Gateway ip 10.0.0.1 conflicts with allocation pool", Refused),
        (409, "", "Image 1 could not be deleted because it is in use: The image is in use by a clone", NotNow),
        (409, "", "Image status transition from saving to saving is not allowed", NotNow),
        (409, "", "Image status transition from active to saving is not allowed", Refused),
        (412, "RevisionNumberConstraintFailed", "Constrained to 1, but current revision is 2", Refused),
        (413, "overLimit", "VolumeSizeExceedsAvailableQuota: Requested volume exceeds allowed gigabytes", OverQuota),
        (413, "", "Request exceeds the quota image_size_total", OverQuota),
        (413, "", "The limit has been exceeded on the number of allowed image properties.", Refused),
        (429, "", "Too many requests", Unclear),
        (500, "computeFault", "Unexpected API Error.", Unclear),
        (501, "", "Not Implemented", Refused),
        (502, "", "Bad Gateway", Unclear),
        (503, "", "No server is available", Unclear),
        (504, "", "Gateway Time-out", Unclear),
    ],
)  # fmt: skip
def test_each_answer_means_one_error(status: int, type_: str, text: str, error: type[CloudError]) -> None:
    assert meaning(status, type_, text) is error


def answer(body: str, *, status: int = 400, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.reason = "Because"
    response._content = body.encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


@pytest.mark.parametrize(
    ("body", "type_", "text"),
    [
        ('{"badRequest": {"code": 400, "message": "two\\n  lines"}}', "badRequest", "two lines"),
        ('{"NeutronError": {"type": "PortInUse", "message": "m", "detail": ""}}', "PortInUse", "m"),
        ('{"NeutronError": "just words"}', "NeutronError", "just words"),
        ('{"error": {"code": 404, "title": "Not Found", "message": "no role"}}', "error", "no role"),
        ("<html><head><title>409 C</title></head><body><h1>409 C</h1>a &lt;b&gt;<br/></body></html>", "", "a <b>"),
        ("plain words", "", "plain words"),
        ("[]", "", "[]"),
        ("", "", "Because"),
    ],
)  # fmt: skip
def test_the_services_words_are_found(body: str, type_: str, text: str) -> None:
    assert said(answer(body)) == (type_, text)


def test_values_that_are_secret_are_not_repeated() -> None:
    text = "Invalid input for field/attribute user_data. Value: c2VjcmV0. 'c2VjcmV0' is too long"
    _, told = said(answer(json.dumps({"badRequest": {"message": text}})))
    assert "c2VjcmV0" not in told
    assert "user_data" in told


def test_texts_are_bounded() -> None:
    assert len(said(answer("x" * 100_000))[1]) <= 600


@pytest.mark.parametrize(("asked", "seconds"), [("3", 3), ("0", 0), ("600", 10), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)])
def test_the_wait_that_a_service_asks_for_is_bounded(asked: str, seconds: float) -> None:
    assert retry_after(answer("", Retry_After=asked)) == seconds
    assert retry_after(answer("")) == 0
