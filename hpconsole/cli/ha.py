"""`hpconsole ha`, `fence` and `confirm-off`: what a failing host would mean, and what is done about one that failed."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, print_json, print_table, shortages_json
from hpconsole.cli.session import session
from hpconsole.cli.terminal import say
from hpconsole.core.availability.fencing import Power
from hpconsole.core.availability.health import HostHealth
from hpconsole.core.availability.report import HostProof, Unprotected
from hpconsole.core.availability.settings import AvailabilitySettings, FenceDevice
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.host import LinkState
from hpconsole.core.scheduler.value_json import from_json, to_json


def show_ha(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """The proof before the day. FAILED where a highly available VM could not come back."""
    with session(options) as app:
        if arguments.settings or arguments.set:
            return _settings(app, arguments)
        health = app.availability.health()
        proof = app.availability.proof(app.policy, app.reservations())
    if arguments.json:
        print_json(
            {
                "format": "hpconsole-ha/1",
                "serial": proof.serial,
                "taken_at": proof.taken_at.isoformat() if proof.taken_at is not None else None,
                "safe": proof.is_safe,
                "hosts": [_host_json(host, one, proof.of(host)) for host, one in health.items()],
            }
        )
    else:
        _print_health(health)
        _print_proof(proof.hosts)
    return ExitCode.DONE if proof.is_safe else ExitCode.FAILED


def _settings(app: App, arguments: argparse.Namespace) -> ExitCode:
    """Change what is named, and show all."""
    settings = app.availability.settings()
    data = {field.name: to_json(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
    for text in arguments.set:
        key, equals, value = text.partition("=")
        if not equals or key not in data:
            raise UsageError(f"{text} is no setting: write --set KEY=VALUE with one of {', '.join(data)}.")
        data[key] = _as_written(value, data[key])
    if arguments.set:
        app.availability.save_settings(from_json(AvailabilitySettings, data, "settings"))
    if arguments.json:
        print_json({"format": "hpconsole-ha-settings/1", **data})
    else:
        print_table(["SETTING", "VALUE"], [(key, _shown(value)) for key, value in data.items()])
    return ExitCode.DONE


def _as_written(text: str, example: object) -> object:
    """A value of the kind the setting has; what is none is refused by who reads it."""
    if isinstance(example, list):
        return [part for part in text.split(",") if part]
    if isinstance(example, bool):
        return {"yes": True, "no": False}.get(text, text)
    if isinstance(example, int | float):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _host_json(name: str, health: HostHealth, proof: HostProof | None) -> Json:
    return {
        "host": name,
        "health": health.state.value,
        "sentence": health.sentence,
        "troubles": [{"kind": t.kind.value, "what": t.what, "sentence": t.sentence} for t in health.troubles],
        "safe": proof is None or proof.is_safe,
        "restarts": [] if proof is None else [{"uuid": u, "vm": n, "to": to} for u, n, to in proof.restarts],
        "unprotected": [] if proof is None else [_unprotected_json(one) for one in proof.unprotected],
        "warnings": [] if proof is None else list(proof.warnings),
    }


def _unprotected_json(one: Unprotected) -> Json:
    return {
        "uuid": one.vm_uuid,
        "vm": one.vm_name,
        "resource": one.resource,
        "sentence": one.sentence,
        "shortages": shortages_json(one.shortages),
        "hosts": [{"host": host, "sentence": sentence} for host, sentence in one.hosts],
    }


def _print_health(health: Mapping[str, HostHealth]) -> None:
    print_table(["HOST", "HEALTH", "WHY"], [(name, one.state.value, one.sentence) for name, one in health.items()])


def _print_proof(proofs: tuple[HostProof, ...]) -> None:
    if not proofs:
        say("No host runs a highly available VM.")
    for proof in proofs:
        say(proof.sentence)
        for _, name, host in proof.restarts:
            say(f"  {name} on {host}")
        for one in proof.unprotected:
            say(f"  NOT {one.vm_name} (for want of: {one.resource}). {one.sentence}")
        for warning in proof.warnings:
            say(f"  {warning}")


def fence(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Give a host a fence device, ask it, forget it, or switch the host off by it."""
    host: str = arguments.host
    with session(options) as app:
        _check_host(app, host)
        if arguments.agent:
            return _save(app, _device(arguments), as_json=arguments.json)
        if arguments.forget:
            app.availability.remove_fence_device(host)
            return _answer(host, f"{host} has no fence device any more.", as_json=arguments.json)
        if arguments.off:
            answers = app.store.snapshot.hosts[host].link.state is LinkState.CONNECTED
            if answers and not arguments.yes:
                names = ", ".join(vm.name for vm in app.store.snapshot.vms_on(host)) or "no VM"
                raise UsageError(f"{host} answers and runs {names}. Say --yes to switch it off all the same.")
            proof = app.availability.fence(host)
            return _answer(host, proof.sentence, as_json=arguments.json, power=Power.OFF)
        return _status(app, host, as_json=arguments.json)


def _save(app: App, device: FenceDevice, *, as_json: bool) -> ExitCode:
    """Keep it, and ask it once: a device that does not answer is better known now."""
    app.availability.save_fence_device(device)
    return _status(app, device.host, as_json=as_json)


def _status(app: App, host: str, *, as_json: bool) -> ExitCode:
    report = app.availability.power(host)
    _answer(host, report.sentence, as_json=as_json, power=report.power)
    return ExitCode.FAILED if report.power is Power.UNKNOWN else ExitCode.DONE


def _device(arguments: argparse.Namespace) -> FenceDevice:
    parameters: list[tuple[str, str]] = []
    for text in arguments.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text} is no parameter: write --set KEY=VALUE.")
        parameters.append((key, value))
    return FenceDevice(
        host=arguments.host,
        agent=arguments.agent,
        parameters=tuple(parameters),
        password_file=str(Path(arguments.password_file).absolute()) if arguments.password_file else "",
        password_variable=arguments.password_variable or "",
        timeout_s=arguments.agent_timeout,
    )


def confirm_off(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Take the administrator's word that a host is off."""
    host: str = arguments.host
    with session(options) as app:
        _check_host(app, host)
        if app.store.snapshot.hosts[host].link.state is LinkState.CONNECTED:
            raise InvalidEdit("host", f"{host} answers, so it is not off. Nothing was changed.", subject=host)
        if not arguments.yes:
            raise UsageError(
                f"If {host} still runs, its highly available VMs will run twice and damage their disks. Make sure that "
                f"it has no power, then say --yes."
            )
        proof = app.availability.confirm_off(host, "An administrator")
        sentence = (
            f"{proof.sentence} Its highly available VMs are restarted by the console that acts (hpconsole watch)."
        )
        return _answer(host, sentence, as_json=arguments.json, power=Power.OFF)


def _check_host(app: App, host: str) -> None:
    if host not in app.store.snapshot.hosts:
        raise UsageError(f"There is no host named {host}. `hpconsole hosts` lists them all.", subject=host)


def _answer(host: str, sentence: str, *, as_json: bool, power: Power | None = None) -> ExitCode:
    if as_json:
        value = power.value if power is not None else None
        print_json({"format": "hpconsole-fence/1", "host": host, "power": value, "sentence": sentence})
    else:
        say(sentence)
    return ExitCode.DONE
