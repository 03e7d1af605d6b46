"""`hpconsole affinity`: groups as they are kept and stand now, new ones, and suggestions from what is pinned."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, print_json, print_table
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import complain, say
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.affinity_groups import GroupState, check_group, states
from hpconsole.core.planning.affinity_rules import Draft, contradiction
from hpconsole.core.planning.affinity_suggest import Suggestions, suggest_groups
from hpconsole.core.scheduler.affinity import with_labelled


def affinity(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """List, check, suggest, add, edit, remove, label."""
    verb: str = arguments.verb
    if verb in ("add", "edit", "remove", "label") and not arguments.name:
        raise UsageError(f"Say which one: hpconsole affinity {verb} NAME.")
    with session(options) as app:
        if verb == "suggest":
            return _suggest(app, arguments)
        if verb == "add":
            return _keep(app, arguments, AffinityGroup(arguments.name), is_new=True)
        if verb == "edit":
            return _keep(app, arguments, _group(app, arguments.name), is_new=False)
        if verb == "label":
            return _label(app, arguments)
        if verb == "remove":
            _group(app, arguments.name)
            app.rules.remove_group(arguments.name)
            return _said(f"The group {arguments.name} is removed.", as_json=arguments.json)
        return _list(app, arguments, is_check=verb == "check")


def _label(app: App, arguments: argparse.Namespace) -> ExitCode:
    """Give a host the named labels and no others."""
    host: str = arguments.name
    if host not in app.store.snapshot.hosts:
        raise UsageError(f"There is no host named {host}. `hpconsole hosts` lists them all.", subject=host)
    labels = frozenset(arguments.host_label or ())
    app.rules.save_host_labels(host, labels)
    return _said(f"{host} carries {', '.join(sorted(labels)) or 'no labels'}.", as_json=arguments.json)


def _group(app: App, name: str) -> AffinityGroup:
    for group in app.rules.current().groups:
        if group.name == name:
            return group
    raise UsageError(f"There is no affinity group named {name}. `hpconsole affinity list` has them all.", subject=name)


def _snapshot(app: App) -> ClusterSnapshot:
    """The newest snapshot with the groups that count now: one saved a moment ago may not have been published yet."""
    return replace(app.store.snapshot, affinity_groups=app.rules.current().groups)


def _list(app: App, arguments: argparse.Namespace, *, is_check: bool) -> ExitCode:
    snapshot = _snapshot(app)
    found = states(snapshot)
    problem = contradiction(with_labelled(snapshot.affinity_groups, snapshot.vms, snapshot.hosts))
    if arguments.json:
        print_json(
            {
                "format": "hpconsole-affinity/1",
                "groups": [_state_json(state, snapshot) for state in found],
                "problem": None if problem is None else {"kind": problem.kind, "sentence": problem.sentence},
            }
        )
    elif not found:
        say("There is no affinity group. Make one: hpconsole affinity add NAME --vms apart --vm VM --vm VM")
    else:
        print_table(
            ["GROUP", "PRIORITY", "VMS", "HOSTS", "MEMBERS", "BROKEN BY"],
            [
                (
                    state.group.name,
                    f"{state.group.priority:g}",
                    _rule(state.group.vm_rule, is_enforced=state.group.is_vm_rule_enforced),
                    _rule(state.group.host_rule, is_enforced=state.group.is_host_rule_enforced),
                    ", ".join([*_names(state.members, snapshot), *state.hosts]),
                    ", ".join(state.broken_by),
                )
                for state in found
            ],
        )
        if problem is not None:
            complain(problem.sentence)
    is_well = problem is None and all(state.is_kept for state in found)
    return ExitCode.DONE if is_well or not is_check else ExitCode.FAILED


def _rule(rule: AffinityRule, *, is_enforced: bool) -> str:
    words = {AffinityRule.POSITIVE: "together", AffinityRule.NEGATIVE: "apart", AffinityRule.DISABLED: "-"}
    return words[rule] + (" (hard)" if is_enforced and rule is not AffinityRule.DISABLED else "")


def _names(uuids: Sequence[str], snapshot: ClusterSnapshot) -> list[str]:
    return sorted(snapshot.vms[uuid].name if uuid in snapshot.vms else uuid for uuid in uuids)


def _state_json(state: GroupState, snapshot: ClusterSnapshot) -> Json:
    return {
        **_group_json(state.group, snapshot),
        "members": _names(state.members, snapshot),
        "member_hosts": list(state.hosts),
        "kept": state.is_kept,
        "broken_by": list(state.broken_by),
        "unknown": list(state.unknown),
    }


def _group_json(group: AffinityGroup, snapshot: ClusterSnapshot) -> Json:
    return {
        "name": group.name,
        "description": group.description,
        "priority": group.priority,
        "vm_rule": group.vm_rule.value,
        "vm_rule_enforced": group.is_vm_rule_enforced,
        "host_rule": group.host_rule.value,
        "host_rule_enforced": group.is_host_rule_enforced,
        "vms": [{"uuid": u, "name": snapshot.vms[u].name if u in snapshot.vms else None} for u in group.vms],
        "hosts": list(group.hosts),
        "vm_labels": sorted(group.vm_labels),
        "host_labels": sorted(group.host_labels),
    }


def _keep(app: App, arguments: argparse.Namespace, group: AffinityGroup, *, is_new: bool) -> ExitCode:
    snapshot = _snapshot(app)
    changed = _changed(group, arguments, snapshot)
    draft = Draft(changed, tuple(sorted(changed.vm_labels)), tuple(sorted(changed.host_labels)))
    problem = check_group(draft, snapshot, old_name=None if is_new else group.name)
    if problem is not None:
        raise InvalidEdit("group", f"{problem.sentence} Nothing was changed.", subject=group.name)
    app.rules.save_group(changed)
    after = replace(snapshot, affinity_groups=app.rules.current().groups)
    state = next(state for state in states(after) if state.group.name == changed.name)
    sentence = f"The group {changed.name} counts from now on."
    if state.broken_by:
        sentence += f" {', '.join(state.broken_by)} break it where they run; they are moved if they may be."
    return _said(sentence, as_json=arguments.json)


def _changed(group: AffinityGroup, arguments: argparse.Namespace, snapshot: ClusterSnapshot) -> AffinityGroup:
    """The group with what the words say; what they do not name stays."""
    changes: dict[str, object] = {}
    if arguments.vm is not None:
        changes["vms"] = tuple(find_vm(snapshot, text).uuid for text in arguments.vm)
    if arguments.host is not None:
        changes["hosts"] = tuple(arguments.host)
    for word, field in (("vm_label", "vm_labels"), ("host_label", "host_labels")):
        if getattr(arguments, word) is not None:
            changes[field] = frozenset(getattr(arguments, word))
    for word, field, enforced in (
        ("vms", "vm_rule", "is_vm_rule_enforced"),
        ("hosts", "host_rule", "is_host_rule_enforced"),
    ):
        text: str | None = getattr(arguments, word)
        if text is not None:
            rule, _, hard = text.partition("-")
            words = {"together": AffinityRule.POSITIVE, "apart": AffinityRule.NEGATIVE, "none": AffinityRule.DISABLED}
            changes |= {field: words[rule], enforced: hard == "hard"}
    if arguments.priority is not None:
        changes["priority"] = arguments.priority
    if arguments.description is not None:
        changes["description"] = arguments.description
    return replace(group, **changes)  # type: ignore[arg-type]  # the names above are its fields


def _said(sentence: str, *, as_json: bool) -> ExitCode:
    if as_json:
        print_json({"format": "hpconsole-affinity/1", "sentence": sentence})
    else:
        say(sentence)
    return ExitCode.DONE


def _suggest(app: App, arguments: argparse.Namespace) -> ExitCode:
    snapshot = _snapshot(app)
    suggested = suggest_groups(snapshot)
    kept: list[str] = []
    if arguments.apply:
        for one in suggested.found:
            if not one.is_covered:
                app.rules.save_group(one.group)
                kept.append(one.group.name)
    if arguments.json:
        print_json(
            {
                "format": "hpconsole-affinity-suggest/1",
                "unjudged": suggested.unjudged,
                "suggestions": [
                    {
                        "scope": one.scope.value,
                        "reason": one.reason,
                        "covered": one.is_covered,
                        "kept": one.group.name in kept,
                        "group": _group_json(one.group, snapshot),
                    }
                    for one in suggested.found
                ],
            }
        )
        return ExitCode.DONE
    _tell(suggested, kept, snapshot)
    return ExitCode.DONE


def _tell(suggested: Suggestions, kept: Sequence[str], snapshot: ClusterSnapshot) -> None:
    if not suggested.found:
        say("No two pinned or high-performance VMs stand in each other's way.")
    for one in suggested.found:
        note = " (kept now)" if one.group.name in kept else " (kept apart already)" if one.is_covered else ""
        say(f"{one.group.name}: {', '.join(_names(one.group.vms, snapshot))}{note}")
        say(f"  {one.reason}")
    if suggested.unjudged:
        complain(
            "Not everything was looked at: VMs of the same size and pinning are one kind, and whether two kinds get in "
            f"each other's way was left open in {suggested.unjudged} case{'s' * (suggested.unjudged != 1)}, since "
            "working it out would have taken too long. Groups for these you add yourself: hpconsole affinity add."
        )
