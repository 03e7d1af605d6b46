"""A drain plan as JSON data and as text: for files, scripts and people who must sign it (docs/maintenance.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hpconsole.core.planning.drain import DrainAction, DrainItem, DrainPlan, HostLoad, HostRefusal
from hpconsole.core.planning.placement_json import placement_to_json

FORMAT = "hpconsole-maintenance-plan/1"


def plan_json(plan: DrainPlan) -> dict[str, Any]:
    """Everything the plan says."""
    quality = plan.quality
    loads = {step.vm_uuid: step for step in plan.loads}
    return {
        "format": FORMAT,
        "title": plan.title,
        "hosts": list(plan.intent.hosts),
        "reason": plan.intent.reason,
        "complete": plan.is_complete,
        "based_on": plan.based_on,
        "planned_by": quality.planned_by.value,
        "cost": round(quality.cost, 3),
        "bound": None if quality.bound is None else round(quality.bound, 3),
        "gap_pct": None if quality.gap_pct is None else round(quality.gap_pct, 2),
        "took_ms": round(quality.took_ms, 1),
        "waves": len(plan.waves),
        "obstacles": list(plan.obstacles),
        "notes": [*plan.notes, *([quality.sentence] if quality.sentence else [])],
        "warnings": [
            {"vm": w.vm_name, "uuid": w.vm_uuid, "host": w.host, "sentence": w.sentence} for w in plan.warnings
        ],
        "vms": [_item_json(item, loads.get(item.vm_uuid)) for item in plan.items],
    }


def _item_json(item: DrainItem, step: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "vm": item.vm_name,
        "uuid": item.vm_uuid,
        "source": item.source,
        "action": item.action.value,
        "destination": item.destination,
        "wave": item.wave,
        "makes_room": item.is_other,
        "high_performance": item.is_special,
        "sentence": item.sentence,
        "why": item.why,
    }
    if item.placement is not None:
        said["placement"] = placement_to_json(item.placement)
    if item.performance is not None:
        said["performance"] = {
            "outlook": item.performance.outlook.value,
            "sentence": item.performance.sentence,
            "causes": [{"kind": c.kind, "sentence": c.sentence, "points": c.change} for c in item.performance.causes],
        }
    if item.forecast is not None:
        said["forecast"] = {
            "verdict": item.forecast.verdict.value,
            "total_s": round(item.forecast.total_s, 1),
            "downtime_ms": round(item.forecast.downtime_ms, 1),
            "sentence": item.forecast.sentence,
        }
    if item.needs_choice:
        said["choices"] = [choice.value for choice in item.choices]
        said["would_help"] = item.would_help
        said["refusals"] = [_refusal_json(refusal) for refusal in item.refusals]
    if step is not None:
        said["loads"] = [
            {"before": _load_json(before), "after": _load_json(after)}
            for before, after in zip(step.before, step.after, strict=True)
        ]
    return said


def _refusal_json(refusal: HostRefusal) -> dict[str, Any]:
    return {
        "host": refusal.host,
        "reasons": [{"unit": r.unit, "kind": r.kind, "sentence": r.sentence} for r in refusal.refusals],
        "would_help": refusal.would_help,
    }


def _load_json(load: HostLoad) -> dict[str, Any]:
    return {
        "host": load.host,
        "vms": load.vms,
        "memory_pct": None if load.memory_pct is None else round(load.memory_pct, 1),
        "cpu_pct": None if load.cpu_pct is None else round(load.cpu_pct, 1),
        "own_cpus": load.own_cpus,
    }


def plan_text(plan: DrainPlan) -> str:
    """The plan in lines, as a person reads it."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: DrainPlan) -> Iterator[str]:
    yield plan.title + (f" ({plan.intent.reason})" if plan.intent.reason else "")
    yield from plan.obstacles
    if plan.warnings:
        names = ", ".join(f"{w.vm_name} on {w.host}" for w in plan.warnings)
        yield f"High-performance or pinned VMs are affected, and may run slower afterwards: {names}."
    for number, wave in enumerate(plan.waves, start=1):
        yield f"{number}. {'at the same time' if len(wave) > 1 else 'then'}:" if number > 1 else "1. first:"
        for item in wave:
            yield from _item_lines(item)
    for item in plan.items:
        if not item.wave:
            yield from _item_lines(item)
    yield from plan.notes
    yield _quality(plan)


def _item_lines(item: DrainItem) -> Iterator[str]:
    yield f"   {item.sentence}"
    if item.why:
        yield f"      {item.why}"
    if item.performance is not None and item.performance.causes:
        yield f"      {item.performance.sentence}"
    if item.forecast is not None:
        yield f"      {item.forecast.sentence}"
    if item.action is DrainAction.NO_HOST:
        for refusal in item.refusals:
            yield f"      {refusal.host}: {' '.join(reason.sentence for reason in refusal.refusals)}"
        if item.would_help:
            yield f"      What would help: {item.would_help}"
    if item.choices:
        yield f"      Choose: {', '.join(choice.value for choice in item.choices)}."


def _quality(plan: DrainPlan) -> str:
    quality = plan.quality
    if not plan.moves:
        return "Nothing is moved."
    how = f"Planned by the {quality.planned_by.value} planner in {quality.took_ms:.0f} ms"
    if quality.gap_pct is None:
        return f"{how}."
    if quality.gap_pct < 0.005:
        return f"{how}; no better plan exists. {quality.sentence}".strip()
    return f"{how}; at most {quality.gap_pct:.1f} % from the best one. {quality.sentence}".strip()
