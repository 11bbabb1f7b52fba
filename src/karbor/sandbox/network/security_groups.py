"""Neutron's security groups; each project has one called "default"."""

from __future__ import annotations

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network.attributes import COMMON, Attribute, Values, boolean, free_form, text
from karbor.sandbox.network.collection import Collection, is_owner, new_object, quota_for, touch
from karbor.sandbox.network.rest import serve
from karbor.sandbox.network.security_group_rules import RULES, drop_rule, new_rule
from karbor.sandbox.state import Object, State

DEFAULT = "default"

ATTRIBUTES = COMMON | {
    "name": Attribute(text(), ""),
    "stateful": Attribute(boolean, True),
    "shared": Attribute(boolean, post=False, put=False),
    "security_group_rules": Attribute(free_form, post=False, put=False),
}


def default_group(state: State, project_id: str) -> Object:
    """The project's group "default", made now where it had none."""
    found = (
        group
        for group in state.table("security_group").values()
        if group["name"] == DEFAULT and group["project_id"] == project_id
    )
    return next(found, None) or _make_default(state, project_id)


def _make_default(state: State, project_id: str) -> Object:
    group = _new_group(state, project_id, name=DEFAULT, description="Default security group")
    for ethertype in ("IPv4", "IPv6"):
        new_rule(state, group, direction="ingress", ethertype=ethertype, remote_group_id=group["id"])
    return group


def _new_group(state: State, project_id: str, *, name: str, description: str, stateful: bool = True) -> Object:
    group = new_object(
        project_id, name=name, description=description, stateful=stateful, shared=False, security_group_rules=[]
    )
    state.save("security_group", group)
    for ethertype in ("IPv4", "IPv6"):
        new_rule(state, group, direction="egress", ethertype=ethertype)
    return group


def _computed(state: State, group: Object) -> Values:
    rules = state.table("security_group_rule")
    return {
        "security_group_rules": [
            {**rules[id], "tenant_id": rules[id]["project_id"]} for id in group["security_group_rules"]
        ]
    }


def _is_used(state: State, group: Object) -> bool:
    return any(group["id"] in port["security_groups"] for port in state.table("port").values())


def create(state: State, request: Request, values: Values) -> Object:
    """A new group that lets everything out and nothing in."""
    if values["name"] == DEFAULT:
        raise Fault(409, "Default security group already exists.", "SecurityGroupDefaultAlreadyExists")
    default_group(state, values["project_id"])
    quota_for(state, values["project_id"], "security_group")
    quota_for(state, values["project_id"], "security_group_rule", 2)
    return _new_group(state, **values)


def update(state: State, request: Request, group: Object, values: Values) -> None:
    """Rename a group; "default" keeps its name, and statefulness cannot change while ports use the group."""
    if group["name"] == DEFAULT and values.get("name", DEFAULT) != DEFAULT:
        raise Fault(409, "Updating default security group not allowed.", "SecurityGroupCannotUpdateDefault")
    if values.get("stateful", group["stateful"]) != group["stateful"] and _is_used(state, group):
        raise _in_use(group)
    touch(state, "security_group", group, **values)


def delete(state: State, request: Request, group: Object) -> None:
    """Remove a group, its rules, and the rules of other groups that name it."""
    if _is_used(state, group):
        raise _in_use(group)
    if group["name"] == DEFAULT and not request.is_admin:
        raise Fault(409, "Insufficient rights for removing default security group.", "SecurityGroupCannotRemoveDefault")
    for rule in list(state.table("security_group_rule").values()):
        if group["id"] in (rule["security_group_id"], rule["remote_group_id"]):
            drop_rule(state, rule)
    state.drop("security_group", group["id"])


def _in_use(group: Object) -> Fault:
    return Fault(409, f"Security Group {group['id']} in use.", "SecurityGroupInUse")


GROUPS = Collection(
    kind="security_group",
    plural="security_groups",
    missing=("SecurityGroupNotFound", "Security group {id} does not exist"),
    attributes=ATTRIBUTES,
    create=create,
    update=update,
    delete=delete,
    visible=is_owner,
    computed=_computed,
    unfiltered=frozenset({"security_group_rules", "stateful"}),
)
serve(GROUPS)
serve(RULES)
