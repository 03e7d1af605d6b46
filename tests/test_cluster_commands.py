"""`ha`, `fence`, `confirm-off`, `watch`, `balance` and `affinity` over the simulated cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.main import run

ROOT = Path(__file__).resolve().parents[1]
AGENT = """#!{python}
import sys
given = dict(line.rstrip("\\n").split("=", 1) for line in sys.stdin)
print("Status: ON" if given.get("password") == "sesame" else "nothing")
"""


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """Parsed standard output of a command that has to end with this code."""
    found = run([*words, "--demo", "--json"])
    out, err = capsys.readouterr()
    assert found == code, err
    return json.loads(out)


def test_ha_proves_every_host_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(capsys, "ha", code=ExitCode.FAILED)
    assert document["format"] == "hpconsole-ha/1"
    assert document["safe"] is False
    hosts = {host["host"]: host for host in document["hosts"]}
    assert len(hosts) == 12
    assert all(host["health"] == "fit" for host in hosts.values())
    unsafe = [one for host in hosts.values() for one in host["unprotected"]]
    assert unsafe
    assert all(one["resource"] and one["hosts"] for one in unsafe)
    assert any(short["missing"] > 0 for one in unsafe for short in one["shortages"])


def test_settings_are_shown_and_changed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = ("--data-folder", str(tmp_path))
    changes = ("--set", "evacuation=none", "--set", "required_pools=fast,slow", "--set", "fences_automatically=no")
    changed = answer(capsys, "ha", *changes, *data)
    assert (changed["format"], changed["evacuation"]) == ("hpconsole-ha-settings/1", "none")
    kept = answer(capsys, "ha", "--settings", *data)
    assert (kept["evacuation"], kept["required_pools"], kept["fences_automatically"]) == (
        "none",
        ["fast", "slow"],
        False,
    )
    for wrong in ("evacuation=some", "nonsense=1", "trouble_after_s=soon", "trouble_after_s=-1"):
        answer(capsys, "ha", "--set", wrong, *data, code=ExitCode.USAGE)


def test_balance_says_why_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(capsys, "balance")
    assert document["recommendation"] is None
    assert document["why_nothing"]


def test_balance_applies_what_it_recommends_and_remembers_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = ("--data-folder", str(tmp_path))
    answer(capsys, "policy", "copy", "vm_evenly_distributed", "spread", *data)
    limits = ("--parameter", "HighVmCount=1", "--parameter", "MigrationThreshold=2")
    answer(capsys, "policy", "edit", "spread", *limits, *data)
    answer(capsys, "policy", "use", "spread", *data)
    looked = answer(capsys, "balance", "--mode", "recommend", *data)
    assert (looked["mode"], looked["policy"], looked["log"]) == ("recommend", "spread", [])
    assert looked["recommendation"]["gain"] > looked["recommendation"]["cost"] > 0
    assert "results" not in looked
    done = answer(capsys, "balance", "--apply", *data)
    moved = done["recommendation"]["vm"]
    assert [(one["vm"], one["outcome"]) for one in done["results"]] == [(moved, "done")]
    assert [(one["vm"], one["by"]) for one in done["log"]] == [(moved, "applied by hand")]
    after = answer(capsys, "balance", *data)
    assert after["mode"] == "recommend", "kept"
    assert after["recommendation"] is None or after["recommendation"]["vm"] != moved, "it rests"


def test_a_fence_device_is_kept_without_its_password_and_asked_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = tmp_path / "fence_test"
    agent.write_text(AGENT.format(python=sys.executable))
    agent.chmod(0o755)
    monkeypatch.setenv("HPCONSOLE_FENCE_AGENTS", str(tmp_path))
    monkeypatch.setenv("OPEN", "sesame")
    data = ("--data-folder", str(tmp_path / "data"))
    saved = answer(
        capsys, "fence", "host-01", "--agent", "fence_test", "--set", "ip=bmc1", "--password-variable", "OPEN", *data
    )
    assert (saved["format"], saved["power"]) == ("hpconsole-fence/1", "on")
    assert "sesame" not in json.dumps(saved)
    assert b"sesame" not in b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
    assert answer(capsys, "fence", "host-01", *data)["power"] == "on"
    answer(capsys, "fence", "host-01", "--off", *data, code=ExitCode.USAGE)  # it answers: --yes is asked for
    answer(capsys, "fence", "host-01", "--forget", *data)
    missing = answer(capsys, "fence", "host-01", *data, code=ExitCode.USAGE)
    assert "no fence device" in missing["error"]


def test_a_secret_is_no_parameter(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("fence", "host-01", "--agent", "fence_x", "--set", "password=sesame", "--data-folder", str(tmp_path))
    refused = answer(capsys, *words, code=ExitCode.USAGE)
    assert "is a secret and is not kept" in refused["error"]


def test_a_host_that_answers_is_not_confirmed_to_be_off(capsys: pytest.CaptureFixture[str]) -> None:
    refused = answer(capsys, "confirm-off", "host-01", "--yes", code=ExitCode.USAGE)
    assert "answers, so it is not off" in refused["error"]
    assert "no host named" in answer(capsys, "confirm-off", "nowhere", "--yes", code=ExitCode.USAGE)["error"]


def test_groups_are_kept_checked_changed_and_removed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = ("--data-folder", str(tmp_path))
    two = ("--vm", "trade-engine-1", "--vm", "trade-engine-2")
    answer(capsys, "affinity", "add", "engines", "--vms", "apart-hard", *two, *data)
    (group,) = answer(capsys, "affinity", "list", *data)["groups"]
    assert (group["name"], group["vm_rule"], group["vm_rule_enforced"]) == ("engines", "negative", True)
    assert group["members"] == ["trade-engine-1", "trade-engine-2"]
    clash = answer(capsys, "affinity", "add", "both", "--vms", "together-hard", *two, *data, code=ExitCode.USAGE)
    assert "Nothing was changed" in clash["error"]
    answer(capsys, "affinity", "label", "host-11", "--host-label", "old", *data)
    no_vms = ("--vms", "none", "--hosts", "apart", "--host", "host-12", "--host-label", "old")
    answer(capsys, "affinity", "edit", "engines", *no_vms, *data)
    (group,) = answer(capsys, "affinity", "check", *data)["groups"]
    assert (group["vm_rule"], group["host_rule"], group["hosts"]) == ("disabled", "negative", ["host-12"])
    assert group["member_hosts"] == ["host-12", "host-11"]
    answer(capsys, "affinity", "remove", "engines", *data)
    assert answer(capsys, "affinity", "list", *data)["groups"] == []
    answer(capsys, "affinity", "remove", "engines", *data, code=ExitCode.USAGE)


def test_watch_says_that_it_acts_and_ends_when_asked(tmp_path: Path) -> None:
    words = ["watch", "--demo", "--interval", "1", "--lease", "3", "--json", "--data-folder", str(tmp_path)]
    command = [sys.executable, "-m", "hpconsole", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        lines: list[dict[str, Any]] = []
        for text in process.stdout:
            lines.append(json.loads(text))
            said = " ".join(line["sentence"] for line in lines)
            if "This console acts" in said and "Nothing is moved" in said:
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stdout.read()
        assert process.wait(20) == ExitCode.DONE, rest
    assert lines[0]["format"] == "hpconsole-watch/1"
    assert "Watching 12 hosts" in lines[0]["sentence"]


@pytest.mark.parametrize("words", [("affinity",), ("template",), ("pool",)])
def test_an_empty_list_says_so_and_how_to_make_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    from hpconsole.core.database.database import Database

    Database.open(tmp_path / "hpconsole.sqlite3").close()
    assert run([*words, "list", "--demo", "--data-folder", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("There is no ")
    assert f"hpconsole {words[0]} {'add' if words[0] == 'affinity' else 'create'} NAME" in out


@pytest.mark.parametrize(
    ("command", "actions"),
    [
        ("vm", "{create,edit,show,start,pause,resume,shutdown,delete}"),
        ("affinity", "{list,add,edit,remove,check,suggest,label}"),
        ("template", "{list,show,create,edit,export,import,delete}"),
        ("pool", "{list,create,edit,apply,delete}"),
        ("policy", "{list,show,copy,edit,export,import,delete,use}"),
    ],
)
def test_without_an_action_the_actions_are_told(capsys: pytest.CaptureFixture[str], command: str, actions: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run([command])
    assert ended.value.code == ExitCode.USAGE
    assert f"required: {actions}" in capsys.readouterr().err


def test_ha_says_what_its_exit_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["ha", "--help"])
    assert "Exit code 1: at least one would not" in " ".join(capsys.readouterr().out.split())
