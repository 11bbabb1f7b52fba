"""Who may do what: the rules of oslo.policy in code, which a policy file overrides one by one.

The defaults know the roles admin, manager, member and reader of a project. The rules of earlier versions, by which
everybody in a project may do everything there, hold beside them only with `[oslo_policy] enforce_new_defaults=false`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import falcon
from oslo_config import cfg
from oslo_policy import opts, policy

from karbor.model.caller import Caller
from karbor.model.errors import Forbidden, Invalid

_BASES = (
    policy.RuleDefault("context_is_admin", "role:admin", "Who is an administrator."),
    policy.RuleDefault("project_manager", "role:manager and project_id:%(project_id)s", "A manager of the project."),
    policy.RuleDefault(
        "project_member", "rule:project_manager or (role:member and project_id:%(project_id)s)",
        "Who may change what is the project's.",
    ),
    policy.RuleDefault(
        "project_reader", "rule:project_member or (role:reader and project_id:%(project_id)s)",
        "Who may look at what is the project's.",
    ),
    policy.RuleDefault(
        "admin_or_owner",
        "is_admin:True or (role:admin and is_admin_project:True) or project_id:%(project_id)s",
        "Everybody in the project, and administrators; of earlier versions.",
    ),
    policy.RuleDefault(
        "admin_api", "is_admin:True or (role:admin and is_admin_project:True)", "Administrators; of earlier versions."
    ),
    policy.RuleDefault("default", "rule:context_is_admin", "What a rule refers to that is not there."),
)  # fmt: skip

_ADMIN = ("rule:context_is_admin", "rule:admin_api")
_WRITE = ("rule:context_is_admin or rule:project_member", "rule:admin_or_owner")
_READ = ("rule:context_is_admin or rule:project_reader", "rule:admin_or_owner")

_CHECKPOINTS = "/v1/{project_id}/providers/{provider_id}/checkpoints"

_RULES: Mapping[str, tuple[tuple[str, str], str, str, str]] = {
    "plan:create": (_WRITE, "Create a plan.", "POST", "/plans"),
    "plan:update": (_WRITE, "Change a plan.", "PUT", "/plans/{id}"),
    "plan:delete": (_WRITE, "Delete a plan.", "DELETE", "/plans/{id}"),
    "plan:get": (_READ, "Show a plan.", "GET", "/plans/{id}"),
    "plan:get_all": (_READ, "List plans.", "GET", "/plans"),
    "restore:create": (_WRITE, "Restore a checkpoint.", "POST", "/restores"),
    "restore:update": (_WRITE, "Change a restore.", "PUT", "/restores/{id}"),
    "restore:delete": (_WRITE, "Forget a restore that has ended.", "DELETE", "/restores/{id}"),
    "restore:get": (_READ, "Show a restore.", "GET", "/restores/{id}"),
    "restore:get_all": (_READ, "List restores.", "GET", "/restores"),
    "provider:get": (_READ, "Show a provider.", "GET", "/providers/{provider_id}"),
    "provider:get_all": (_READ, "List providers.", "GET", "/providers"),
    "provider:checkpoint_get": (_READ, "Show a checkpoint.", "GET", f"{_CHECKPOINTS}/{{id}}"),
    "provider:checkpoint_get_all": (_READ, "List checkpoints.", "GET", _CHECKPOINTS),
    "provider:checkpoint_create": (_WRITE, "Protect a plan's resources.", "POST", _CHECKPOINTS),
    "provider:checkpoint_delete": (_WRITE, "Delete a checkpoint.", "DELETE", f"{_CHECKPOINTS}/{{id}}"),
    "provider:checkpoint_update": (_WRITE, "Reset a checkpoint's state.", "PUT", f"{_CHECKPOINTS}/{{id}}"),
    "protectable:get": (_READ, "Show a type of resource.", "GET", "/protectables/{type}"),
    "protectable:get_all": (_READ, "List the types of resources.", "GET", "/protectables"),
    "protectable:instance_get": (_READ, "Show a resource.", "GET", "/protectables/{type}/instances/{id}"),
    "protectable:instance_get_all": (_READ, "List resources.", "GET", "/protectables/{type}/instances"),
    "trigger:create": (_WRITE, "Create a trigger.", "POST", "/triggers"),
    "trigger:update": (_WRITE, "Change a trigger.", "PUT", "/triggers/{id}"),
    "trigger:delete": (_WRITE, "Delete a trigger.", "DELETE", "/triggers/{id}"),
    "trigger:get": (_READ, "Show a trigger.", "GET", "/triggers/{id}"),
    "trigger:list": (_READ, "List triggers.", "GET", "/triggers"),
    "scheduled_operation:create": (_WRITE, "Schedule an operation.", "POST", "/scheduled_operations"),
    "scheduled_operation:update": (
        _WRITE, "Switch a scheduled operation on or off.", "PUT", "/scheduled_operations/{id}"
    ),
    "scheduled_operation:delete": (_WRITE, "Unschedule an operation.", "DELETE", "/scheduled_operations/{id}"),
    "scheduled_operation:get": (_READ, "Show a scheduled operation.", "GET", "/scheduled_operations/{id}"),
    "scheduled_operation:list": (_READ, "List scheduled operations.", "GET", "/scheduled_operations"),
    "operation_log:get": (_READ, "Show an operation log.", "GET", "/operation_logs/{id}"),
    "operation_log:list": (_READ, "List operation logs.", "GET", "/operation_logs"),
    "operation_log:action": (
        _WRITE, "Cancel, resume or take back an operation.", "POST", "/operation_logs/{id}/action"
    ),
    "verification:create": (_WRITE, "Verify a checkpoint.", "POST", "/verifications"),
    "verification:get": (_READ, "Show a verification.", "GET", "/verifications/{id}"),
    "verification:get_all": (_READ, "List verifications.", "GET", "/verifications"),
    "copy:create": (_WRITE, "Copy a plan's checkpoints.", "POST", f"{_CHECKPOINTS}/action"),
    "quota:get": (_READ, "Show a project's quotas.", "GET", "/quotas/{id}"),
    "quota:get_default": (_READ, "Show the default quotas.", "GET", "/quotas/{id}/defaults"),
    "quota:update": (_ADMIN, "Set a project's quotas.", "PUT", "/quotas/{id}"),
    "quota:delete": (_ADMIN, "Give a project the default quotas again.", "DELETE", "/quotas/{id}"),
    "quota_class:get": (_ADMIN, "Show the quotas of a class.", "GET", "/quota_classes/{name}"),
    "quota_class:update": (_ADMIN, "Set the quotas of a class.", "PUT", "/quota_classes/{name}"),
    "service:get_all": (_ADMIN, "List the service's processes.", "GET", "/os-services"),
    "service:update": (_ADMIN, "Switch a process on or off.", "PUT", "/os-services/{id}"),
}  # fmt: skip


def list_rules() -> Iterator[policy.RuleDefault]:
    """Every rule with its default; the entry point of oslo.policy's tools."""
    yield from _BASES
    for name, ((new, old), description, method, path) in _RULES.items():
        yield policy.DocumentedRuleDefault(
            name,
            new,
            description,
            [{"method": method, "path": path if path.startswith("/v1") else f"/v1/{{project_id}}{path}"}],
            scope_types=["project"],
            deprecated_rule=policy.DeprecatedRule(
                name,
                old,
                deprecated_reason="The roles of a project decide now, no longer the project alone.",
                deprecated_since="2.0.0",
            ),
        )


def make_enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """The enforcer of `conf`: its `[oslo_policy]` section says which file overrides the rules in code.

    Raises Invalid where the file cannot be read, or is no map of rules, or a rule refers to one that is not there, or
    to itself: a slip, and not what somebody wanted.
    """
    enforcer = _unchecked(conf)
    place = f"[oslo_policy] policy_file, {conf.oslo_policy.policy_file}"
    try:
        enforcer.load_rules()
        enforcer.check_rules(raise_on_violation=True)
    except policy.InvalidDefinitionError as error:
        raise Invalid(f"{place}: a rule refers to one that is not there, or to itself; correct it: {error}") from None
    except (cfg.Error, OSError, ValueError) as error:
        raise Invalid(f"{place}: it cannot be read as YAML: {error}") from error
    except (AttributeError, TypeError) as error:  # what the library does with YAML that is something else
        raise Invalid(f"{place}: it has to be a map of texts, a rule for each name: {error}") from error
    return enforcer


def _unchecked(conf: cfg.ConfigOpts) -> policy.Enforcer:
    opts.set_defaults(conf)
    enforcer = policy.Enforcer(conf)
    enforcer.suppress_deprecation_warnings = True  # an operator's choice of the old rules is no news at each start
    enforcer.suppress_default_change_warnings = True
    enforcer.register_defaults(list(list_rules()))
    return enforcer


def get_enforcer() -> policy.Enforcer:
    """The enforcer of the configuration files of this machine; the entry point of oslo.policy's tools."""
    conf = cfg.ConfigOpts()
    conf([], project="karbor")
    return _unchecked(conf)


def authorize(request: falcon.Request, rule: str, *, project_id: str | None = None) -> None:
    """Raises Forbidden where the caller may not do this to what is `project_id`'s, by default his own project's."""
    if not allows(request, rule, project_id=project_id):
        raise Forbidden(f"the policy does not allow {rule} to the roles of this token")


def allows(request: falcon.Request, rule: str, *, project_id: str | None = None) -> bool:
    """Whether the caller of `request` may do what `rule` is about, as `authorize`."""
    context = request.context
    caller: Caller = context.caller
    asked = (rule, caller.project_id if project_id is None else project_id)
    answers: Any = context.setdefault("answers", {})
    if asked not in answers:  # the same is asked more than once, and the library takes its time
        target = {"project_id": asked[1]}
        answers[asked] = context.enforcer.enforce(rule, target, _credentials(caller))
    return bool(answers[asked])


def is_admin(request: falcon.Request) -> bool:
    """Whether the caller is an administrator."""
    return allows(request, "context_is_admin")


def _credentials(caller: Caller) -> dict[str, Any]:
    return {
        "user_id": caller.user_id,
        "project_id": caller.project_id,
        "roles": sorted(caller.roles),
        "is_admin": "admin" in caller.roles,
        "is_admin_project": True,
    }
