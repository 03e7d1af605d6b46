"""How are the devices a VM has at most one of (balloon, RNG, watchdog ...), USB and the display written?"""

from __future__ import annotations

from collections.abc import Iterable

from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from hpconsole.core.machines.draft import Graphics, VmDraft
from hpconsole.core.machines.element_order import devices_of

_SPICE_ONLY = ("channel", "redirdev", "smartcard")  # where of type spicevmc


def write_simple(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """Balloon, RNG, watchdog, sound, smartcard, TPM, serial console: each only where it changed."""
    devices = devices_of(document)
    sound = "ich9" if "q35" in after.machine or not after.machine else "ich6"
    console = {"s390x": "sclp"}.get(after.arch, "")
    target = (NewElement("target", {"type": console, "port": "0"}),) if console else ()
    tpm = NewElement(
        "tpm",
        {"model": "tpm-crb" if after.arch == "x86_64" else "tpm-tis"},
        (NewElement("backend", {"type": "emulator", "version": "2.0"}),),
    )
    rng = NewElement("rng", {"model": "virtio"}, (NewElement("backend", {"model": "random"}, content="/dev/urandom"),))
    smartcard = NewElement("smartcard", {"mode": "passthrough", "type": "spicevmc"})
    simple = (
        (before.has_rng, after.has_rng, ("rng",), rng),
        (before.has_sound, after.has_sound, ("sound", "audio"), NewElement("sound", {"model": sound})),
        (before.has_smartcard, after.has_smartcard, ("smartcard",), smartcard),
        (before.has_tpm, after.has_tpm, ("tpm",), tpm),
        (
            before.has_serial_console,
            after.has_serial_console,
            ("console", "serial"),
            NewElement("console", {"type": "pty"}, target),
        ),
    )
    for was, is_wanted, tags, new in simple:
        if was and not is_wanted:
            _remove(document, (child for child in devices.children if child.name in tags))
        elif is_wanted and not was:
            _add(document, devices, new)
    if before.has_smartcard and not after.has_smartcard:
        _remove(document, (c for c in devices.children_named("controller") if c.get("type") == "ccid"))
    _write_balloon(document, devices, before, after)
    _write_watchdog(document, devices, before, after)


def _write_balloon(document: XmlDocument, devices: XmlElement, before: VmDraft, after: VmDraft) -> None:
    if before.has_balloon == after.has_balloon:
        return
    new = NewElement("memballoon", {"model": "virtio" if after.has_balloon else "none"})
    old = devices.child("memballoon")
    if old is not None:
        document.replace(old, new)
    else:
        _add(document, devices, new)


def _write_watchdog(document: XmlDocument, devices: XmlElement, before: VmDraft, after: VmDraft) -> None:
    model, action = after.watchdog_model, after.watchdog_action
    if before.watchdog_model == model and (before.watchdog_action == action or not model):
        return
    old = devices.child("watchdog")
    if not model:
        _remove(document, devices.children_named("watchdog"))
    elif old is None:
        _add(document, devices, NewElement("watchdog", {"model": model, "action": action}))
    elif before.watchdog_model != model:
        document.replace(old, NewElement("watchdog", {"model": model, "action": action}))
    else:
        document.set_attribute(old, "action", action)


def write_usb(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """Without USB: the controllers go, and what hangs on them; with it: one controller."""
    devices = devices_of(document)
    _remove(document, (c for c in devices.children_named("controller") if c.get("type") == "usb"))
    if after.has_usb:
        if before.has_usb:
            return
        model = "qemu-xhci" if after.arch in ("x86_64", "aarch64", "riscv64", "ppc64le") else ""
        _add(document, devices, NewElement("controller", {"type": "usb", **({"model": model} if model else {})}))
        return
    on_usb = (c for c in devices.children if c.name in ("input", "hub", "redirdev") and c.get("bus") == "usb")
    _remove(document, on_usb)
    _remove(document, (c for c in devices.children if c.name == "hub" and c.get("type") == "usb"))
    _add(document, devices, NewElement("controller", {"type": "usb", "model": "none"}))


def write_display(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """Graphical console and video device. What only SPICE can carry goes with SPICE."""
    devices = devices_of(document)
    if before.graphics is not after.graphics and after.graphics is not Graphics.OTHER:
        old = list(devices.children_named("graphics"))
        if after.graphics is Graphics.NONE:
            _remove(document, old)
        else:
            new = NewElement("graphics", {"type": after.graphics.value, "autoport": "yes"})
            if old:
                document.replace(old[0], new)
                _remove(document, old[1:])
            else:
                _add(document, devices, new)
        if after.graphics is not Graphics.SPICE:
            _remove_spice_devices(document, devices)
    videos = list(devices.children_named("video"))
    if before.video_model == after.video_model and not (videos and after.is_headless):
        return
    if not after.video_model:
        _remove(document, videos)
        if after.graphics is not Graphics.NONE:  # libvirt would add one
            _add(document, devices, NewElement("video", children=(NewElement("model", {"type": "none"}),)))
        return
    model = NewElement("model", {"type": after.video_model})
    old_model = videos[0].child("model") if videos else None
    if old_model is not None:
        document.replace(old_model, model)
    elif videos:
        document.append(videos[0], model)
    else:
        _add(document, devices, NewElement("video", children=(model,)))


def _remove_spice_devices(document: XmlDocument, devices: XmlElement) -> None:
    _remove(document, (c for c in devices.children if c.name in _SPICE_ONLY and c.get("type") == "spicevmc"))
    _remove(document, (c for c in devices.children if c.name == "audio" and c.get("type") == "spice"))


def _remove(document: XmlDocument, elements: Iterable[XmlElement]) -> None:
    for element in list(elements):
        document.remove(element)


def _add(document: XmlDocument, devices: XmlElement, new: NewElement) -> None:
    """Behind the last device of its kind, or at the end."""
    if any(child.name == new.name for child in devices.children):
        document.insert_in_order(devices, new, after=(new.name,))
    else:
        document.append(devices, new)
