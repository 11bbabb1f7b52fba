"""Makes a security group again: first the group, then, when all groups are there, the rules that may name others."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from karbor.cloud.connection import Cloud
from karbor.cloud.networks import SECURITY_GROUP, SECURITY_GROUP_RULE
from karbor.model.errors import Blocked, Gone
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.network.allowed import make_as_allowed
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.security_group.facts import (
    DEFAULT,
    OPTIONAL_OF_GROUP,
    Facts,
    SecurityGroupFacts,
    group_body,
    group_facts,
    rule_body,
    rule_in_words,
    told_of_group,
    unwanted,
)
from karbor.plugins.surroundings import Told, note_changes, stands


class RestoreSecurityGroup(Operation):
    """Restore of a security group. A living one, and always the one called default, gets rules for new groups only."""

    Saved = SecurityGroupFacts

    def on_main(self, ctx: Context) -> None:
        facts: SecurityGroupFacts = ctx.saved
        living = _living(ctx)
        if living:
            ctx.use(SECURITY_GROUP, ctx.resource.ref, living)
            if living != ctx.resource.id:
                ctx.note("rules", "mapped", "the project's own group default is used, with the rules that it has")
            return
        group = make_as_allowed(ctx, SECURITY_GROUP, ctx.resource.ref, group_body(facts), OPTIONAL_OF_GROUP)
        ctx.act(
            "remove the rules that every new group gets and this one had not",
            partial(_remove_unwanted, group, facts.rules),
            partial(_has_nothing_unwanted, group, facts.rules),
        )
        restore_tags(ctx, SECURITY_GROUP, ctx.resource.id, group, facts.tags)

    def on_complete(self, ctx: Context) -> None:
        facts: SecurityGroupFacts = ctx.saved
        group = ctx.new(ctx.resource.ref)
        is_used = _living(ctx) is not None
        if group == ctx.resource.id:
            again = [rule_in_words(rule) for rule in facts.rules if _names_a_new_group(ctx, rule)]
            note_changes(ctx, told_of_group(facts), partial(_now, group), again)
        for rule in facts.rules:
            if is_used and not _names_a_new_group(ctx, rule):
                continue
            missing = _missing(ctx, rule)
            if missing:
                ctx.note(f"rule {rule['id']}", "cannot", f"it names {missing}, which is not visible in this project")
                continue
            body = rule_body(rule, group, _remote_group(ctx, rule))
            ctx.make(SECURITY_GROUP_RULE, Ref(SECURITY_GROUP_RULE.type, rule["id"]), body)


def _living(ctx: Context) -> str | None:
    """The id of the group that is used, None where one is made."""
    if ctx.saved.name == DEFAULT:
        found: str = ctx.choose("default group", default_group)
        return found
    return ctx.resource.id if stands(ctx, SECURITY_GROUP) else None


def default_group(cloud: Cloud) -> str:
    """The id of the project's group `default`. Raises Blocked."""
    for group in SECURITY_GROUP.matching(cloud, name=DEFAULT):
        if group["name"] == DEFAULT:
            return str(group["id"])
    raise Blocked(f"project {cloud.project_id} of cloud {cloud.name!r} has no security group {DEFAULT!r}")


def _now(id: str, cloud: Cloud) -> Told:
    return told_of_group(SecurityGroupFacts(**group_facts(SECURITY_GROUP.seen(cloud, id))))


def _named_group(ctx: Context, rule: Facts) -> Ref | None:
    """The group that a rule names, where this restore makes it or uses another one for it."""
    ref = Ref(SECURITY_GROUP.type, rule.get("remote_group_id") or "")
    return ref if ref == ctx.resource.ref or ref in ctx.refers else None


def _names_a_new_group(ctx: Context, rule: Facts) -> bool:
    """Whether a rule of a living group names another one that is made anew."""
    named = _named_group(ctx, rule)
    if named is None or named == ctx.resource.ref:
        return False
    return ctx.new(named) not in (named.id, ctx.choose("default group", default_group))


def _remote_group(ctx: Context, rule: Facts) -> str | None:
    """What the group that a rule names has become; another project's is still itself."""
    named = _named_group(ctx, rule)
    return ctx.new(named) if named else rule.get("remote_group_id")


def _missing(ctx: Context, rule: Facts) -> str:
    """What of others a rule names that the target does not show; without the rule less is allowed, never more."""
    address_group, group = rule.get("remote_address_group_id"), rule.get("remote_group_id")
    what = f"address group {address_group}"
    if address_group and not ctx.choose(f"sees {what}", partial(_sees_address_group, address_group)):
        return what
    what = f"security group {group}"
    if group and not _named_group(ctx, rule) and not ctx.choose(f"sees {what}", partial(_sees_group, group)):
        return what
    return ""


def _sees_group(id: str, cloud: Cloud) -> bool:
    return SECURITY_GROUP.get(cloud, id) is not None


def _sees_address_group(id: str, cloud: Cloud) -> bool:
    try:
        cloud.get("network", f"/address-groups/{quote(id, safe='')}")
    except Gone:
        return False
    return True


def _remove_unwanted(group: str, saved: list[Facts], cloud: Cloud) -> None:
    for rule in unwanted(SECURITY_GROUP.seen(cloud, group)["security_group_rules"], saved):
        SECURITY_GROUP_RULE.delete(cloud, rule["id"])


def _has_nothing_unwanted(group: str, saved: list[Facts], cloud: Cloud) -> bool:
    return not unwanted(SECURITY_GROUP.seen(cloud, group)["security_group_rules"], saved)
