"""`hpconsole vm`, `template` and `pool` over the simulated cluster: defaults, JSON in and out, refusals, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.main import run

VM = "trade-engine-1"


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Exit code and the document printed."""
    code = run([*words, "--demo", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_made_pinned_by_the_command_line_it_gets_the_dialogs_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """The reference's REST interface leaves such a VM at automatic migration (its first limitation)."""
    words = ("vm", "create", "new-1", "--vcpus", "4", "--memory", "8G", "--disk", "shared:4G", "--start")
    code, document = answer(capsys, *words, "--optimized-for", "high-performance", "--recommended")
    assert code == ExitCode.DONE
    fields = document["fields"]
    assert fields["migration_mode"] == "manual"
    assert fields["is_migration_mode_chosen"] is False
    assert fields["cpu_pinning_policy"] == "keep_shape"
    assert (fields["graphics"], fields["has_usb"], fields["cpu_mode"]) == ("none", False, "host-passthrough")
    assert document["started"] is True
    assert len(document["placement"]["vcpus"]) == 4


def test_a_dry_run_shows_the_difference_and_every_hosts_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = answer(
        capsys,
        "vm",
        "edit",
        VM,
        "--memory",
        "20G",
        "--migration-mode",
        "automatic",
        "--hosts",
        "host-02,host-06",
        "--dry-run",
    )
    assert code == ExitCode.DONE
    when = {change["field"]: change["when"] for change in document["changes"]}
    assert when["memory_kib"] == "at the next start"
    assert when["migration_mode"] == "now"
    changed = [line for line in document["difference"].splitlines() if line.startswith("+") and "migration" in line]
    assert "automatic" in changed[0]
    assert [(host["host"], host["verdict"]) for host in document["hosts"]] == [("host-02", "green"), ("host-06", "red")]


def test_what_show_writes_edit_reads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, shown = answer(capsys, "vm", "show", VM)
    assert code == ExitCode.DONE
    assert shown["pinned_or_high_performance"] is True
    assert all(line["done"] for line in shown["recommendations"] if line["key"] != "ksm")
    file = tmp_path / "vm.json"
    file.write_text(json.dumps(shown))
    code, document = answer(capsys, "vm", "edit", VM, "--from-json", str(file), "--dry-run")
    assert code == ExitCode.DONE
    assert document["changes"] == []
    assert document["difference"] == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--pin", "0#1000000000", "--hosts", "host-01"), "no CPU number"),
        (("--vcpus", "4096"), "more than any host has CPUs"),
        (("--memory", "900T"), "more than any host has"),
        (("--set", 'priority="high"'), "not a whole number"),
        (("--set", "colour=red"), "no field"),
        (("--hosts", "moon"), "no host named moon"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    code, document = answer(capsys, "vm", "create", "new-1", *words)
    assert code == ExitCode.USAGE
    assert sentence in document["error"]


def test_deleting_asks_for_yes(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = answer(capsys, "vm", "delete", VM)
    assert code == ExitCode.USAGE
    assert "--yes" in document["error"]


def test_deleting_says_which_disks_stay_and_where_the_definition_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, document = answer(capsys, "vm", "delete", "test-03", "--yes", "--save-in", str(tmp_path))
    (deleted,) = document["vms"]
    assert (code, document["notes"]) == (ExitCode.DONE, [])
    assert deleted["file"] == str(tmp_path / "test-03.xml")
    assert f"Its disks stay: {deleted['disks'][0]}." in deleted["sentence"]
    assert "<name>test-03</name>" in (tmp_path / "test-03.xml").read_text()
    code, document = answer(capsys, "vm", "delete", VM, "--yes")
    assert code == ExitCode.USAGE
    assert "shut it down first. Nothing was deleted." in document["error"]


def test_what_was_deleted_is_told_though_the_next_one_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, document = answer(capsys, "vm", "delete", "test-03", VM, "kafka-1", "--yes", "--save-in", str(tmp_path))
    assert code == ExitCode.USAGE
    assert [one["file"] for one in document["vms"]] == [str(tmp_path / "test-03.xml")]
    assert "shut it down first. Nothing was deleted." in document["error"]
    assert (document["subject"], document["not_touched"]) == (VM, ["kafka-1"])


def test_vms_are_paused_and_only_paused_ones_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = answer(capsys, "vm", "pause", VM, "kafka-1")
    assert (code, [vm["name"] for vm in document["vms"]]) == (ExitCode.DONE, [VM, "kafka-1"])
    code, document = answer(capsys, "vm", "resume", VM)
    assert code == ExitCode.USAGE
    assert "nothing to resume" in document["error"]


def test_templates_are_kept_exported_and_imported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = ("--data-folder", str(tmp_path / "data"))
    code, made = answer(capsys, "template", "create", "engine", "--from", VM, "--no-disks", *data)
    assert code == ExitCode.DONE
    assert made["templates"][0]["fields"]["pinning_text"]
    file = tmp_path / "engine.json"
    assert answer(capsys, "template", "export", "engine", str(file), *data)[0] == ExitCode.DONE
    assert answer(capsys, "template", "delete", "engine", "--yes", *data)[0] == ExitCode.DONE
    assert answer(capsys, "template", "import", str(file), *data)[0] == ExitCode.DONE
    code, listed = answer(capsys, "template", "list", *data)
    assert [template["name"] for template in listed["templates"]] == ["engine"]
    code, pool = answer(
        capsys, "pool", "create", "farm", "--template", "engine", "--size", "2", "--prestarted", "1", *data
    )
    assert (code, [vm["started"] for vm in pool["made"]]) == (ExitCode.DONE, [True, False])
