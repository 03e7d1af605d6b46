"""Fence agents are real programs here: what they say, how they fail, and that no password gets anywhere else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hpconsole.core.availability.fencing import Power, status, switch_off
from hpconsole.core.availability.settings import FenceDevice, fence_devices, save_fence_device
from hpconsole.core.errors import InvalidEdit, StepFailed
from hpconsole.core.memory_documents import MemoryDocuments
from tests.core.availability.fence_agent import install

SECRET = "correct horse"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a sound agent; tests may write another one."""
    monkeypatch.setenv("HPCONSOLE_FENCE_AGENTS", str(tmp_path))
    install(tmp_path, SECRET)
    return tmp_path


def device(folder: Path, secret: str = SECRET, timeout_s: float = 20) -> FenceDevice:
    file = folder / "secret"
    file.write_text(f"{secret}\n")
    file.chmod(0o600)
    return FenceDevice("host-a", "fence_test", (("plug", "7"),), password_file=str(file), timeout_s=timeout_s)


def test_off_is_believed_only_when_the_agent_says_so_afterwards(agent: Path) -> None:
    assert status(device(agent)).power is Power.ON
    assert switch_off(device(agent)).power is Power.OFF
    assert status(device(agent)).power is Power.OFF


@pytest.mark.parametrize(
    ("body", "power"),
    [
        ("sys.exit(0)", Power.UNKNOWN),  # says it did, and nothing else
        ("sys.exit(2)", Power.UNKNOWN),  # the code for off is the one for wrong parameters, too
        ("print('Status: ON')", Power.ON),
        ("print('Status: OFF'); sys.exit(1)", Power.UNKNOWN),
        ("sys.exit('Unable to connect')", Power.UNKNOWN),
    ],
)
def test_nothing_less_than_status_off_is_a_proof(agent: Path, body: str, power: Power) -> None:
    install(agent, SECRET, body)
    report = switch_off(device(agent))
    assert report.power is power
    assert "could not switch host-a off" in report.sentence


def test_an_agent_that_hangs_proves_nothing(agent: Path) -> None:
    install(agent, SECRET, "import select; select.select([], [], [], 30)")
    report = switch_off(device(agent, timeout_s=1.0))
    assert report.power is Power.UNKNOWN


def test_the_password_goes_to_standard_input_and_nowhere_else(
    agent: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SECRET_OF_TEST", "wrong horse")
    wrong = FenceDevice("host-a", "fence_test", (("plug", "7"),), password_variable="SECRET_OF_TEST")
    report = switch_off(wrong)
    assert "wrong horse" not in report.sentence
    assert "is wrong" in report.sentence, "the agent's own words are told without it"
    assert "wrong horse" not in caplog.text
    seen = (agent / "seen").read_text()
    assert "'password': 'wrong horse'" in seen
    assert seen.endswith(f"['{agent / 'fence_test'}'], False)"), "no argument, and not in the agent's environment"


def test_a_password_file_that_others_can_read_is_refused(agent: Path) -> None:
    one = device(agent)
    Path(one.password_file).chmod(0o644)
    with pytest.raises(StepFailed, match="chmod 600"):
        status(one)


def test_a_missing_agent_or_password_is_said(agent: Path) -> None:
    with pytest.raises(StepFailed, match="not installed"):
        status(FenceDevice("host-a", "fence_nowhere"))
    with pytest.raises(StepFailed, match="is not set"):
        status(FenceDevice("host-a", "fence_test", password_variable="NOBODY_SETS_THIS"))


@pytest.mark.parametrize(
    "one",
    [
        FenceDevice("a", "/bin/sh"),
        FenceDevice("a", "fence_x; reboot"),
        FenceDevice("a", "fence_x", (("ip\naction", "1"),)),
        FenceDevice("a", "fence_x", (("ip", "1\naction=on"),)),
        FenceDevice("a", "fence_x", (("password", "secret"),)),
        FenceDevice("a", "fence_x", password_variable="A B"),
        FenceDevice("a", "fence_x", timeout_s=0),
    ],
)
def test_what_cannot_be_meant_is_neither_kept_nor_read(one: FenceDevice) -> None:
    documents = MemoryDocuments()
    with pytest.raises(InvalidEdit):
        save_fence_device(documents, one)
    from hpconsole.core.scheduler.value_json import to_json

    documents.save("fence_device", "a", to_json(one))
    found, problems = fence_devices(documents)
    assert not found
    assert problems
    assert "secret" not in problems[0] or "is a secret" in problems[0]
