"""The command line over the simulated cluster: answers, JSON, exit codes."""

from __future__ import annotations

import json
import logging
import queue
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.main import run
from hpconsole.cli.output import print_json, print_ranking
from hpconsole.cli.terminal import PrintableFormatter
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.request import Request
from tests.builders import a_host, a_snapshot, a_topology, a_vm

VM = "trade-engine-1"


def test_a_host_that_does_not_answer_is_unknown_not_empty(capsys: pytest.CaptureFixture[str]) -> None:
    # nothing listens on this port of our own machine
    assert run(["hosts", "--connect", "gone=qemu+tcp://127.0.0.1:1/system", "--timeout", "5"]) == ExitCode.UNREACHABLE
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[:3] == ["gone", "disconnected", "?"], "up would be a guess"
    assert out.splitlines()[1].split()[-2:] == ["?", "?"]
    assert "neither encrypted nor authenticated" in err
    assert "gone is left out" in err


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """Exit code, parsed standard output, standard error."""
    code = run([*words, "--demo", "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_hosts_are_listed_with_their_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = answer(capsys, "hosts")
    assert code == ExitCode.DONE
    assert document["format"] == "hpconsole-hosts/1"
    hosts = {host["name"]: host for host in document["hosts"]}
    assert len(hosts) == 12
    assert {len(host["nodes"]) for host in hosts.values()} >= {1, 2, 8}
    assert all(host["link"] == "connected" and host["memory_free_kib"] > 0 for host in hosts.values())


def test_vms_are_listed_with_intent_and_pinning(capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = answer(capsys, "vms")
    assert code == ExitCode.DONE
    assert len(document["vms"]) == 120
    assert sum(vm["pinned_or_high_performance"] for vm in document["vms"]) == 30
    vm = next(vm for vm in document["vms"] if vm["name"] == VM)
    assert len(vm["virtual_nodes"]) == 2
    assert vm["pinning"]["vcpus"]


def test_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--demo", "vms"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["VM", "STATE", "HOST"]
    assert len(lines) == 121


def test_tables_write_sizes_with_their_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--demo", "hosts"]) == ExitCode.DONE
    first = capsys.readouterr().out.splitlines()[1]
    assert re.search(r" \d+ GiB +[\d.]+ GiB +\d+ x 2M, \d+ x 1G ", first), first
    assert "KiB" not in first


def test_lists_what_a_saved_snapshot_has(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    assert run(["snapshot", "save", str(file), "--demo"]) == ExitCode.DONE
    capsys.readouterr()
    assert run(["vms", "--scenario", str(file), "--json"]) == ExitCode.DONE
    assert len(json.loads(capsys.readouterr().out)["vms"]) == 120
    assert run(["hosts", "--scenario", str(file)]) == ExitCode.DONE
    assert len(capsys.readouterr().out.splitlines()) == 13
    assert run(["vms", "--scenario", str(file), "--demo"]) == ExitCode.USAGE


def test_a_file_is_replaced_only_where_that_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    file.write_text("precious")
    assert run(["snapshot", "save", str(file), "--demo"]) == ExitCode.USAGE
    assert file.read_text() == "precious"
    assert "--force" in capsys.readouterr().err
    assert run(["snapshot", "save", str(file), "--demo", "--force"]) == ExitCode.DONE
    assert file.read_text() != "precious"
    capsys.readouterr()
    assert run(["snapshot", "save", str(file), "--demo", "--force", "--json"]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert told == {"format": "hpconsole-snapshot/1", "file": str(file), "hosts": 12, "vms": 120}


def test_an_unknown_destination_is_answered_with_the_hosts(capsys: pytest.CaptureFixture[str]) -> None:
    code, error, _ = answer(capsys, "migrate", VM, "--to", "no-such-host")
    assert code == ExitCode.USAGE
    assert "host-01, host-02, " in error["error"]


def test_dry_run_says_everything_and_moves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = answer(capsys, "migrate", VM, "--auto", "--dry-run", "--no-measure")
    assert code == ExitCode.DONE
    (vm,) = document["vms"]
    accepted = [host for host in vm["hosts"] if host["accepted"]]
    refused = [host for host in vm["hosts"] if not host["accepted"]]
    assert len(accepted) + len(refused) == 12
    assert [host["position"] for host in accepted] == list(range(1, len(accepted) + 1))
    assert accepted[0]["score"] == sum(part["contribution"] for part in accepted[0]["weights"])
    assert all(refusal["sentence"] for host in refused for refusal in host["refusals"])
    assert all(host["refusals"] for host in refused)
    assert any(refusal["shortages"] for host in refused for refusal in host["refusals"])
    placement = accepted[0]["placements"][vm["uuid"]]
    assert set(placement["vcpus"]) == {str(vcpu) for vcpu in range(8)}
    assert document["plan"]["steps"][0]["destination"] == accepted[0]["host"]
    assert document["plan"]["steps"][0]["placement"] == placement


def test_migrates_and_tells_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = answer(capsys, "migrate", VM, "--auto")
    assert code == ExitCode.DONE
    (result,) = document["results"]
    assert result["outcome"] == "done"
    assert result["destination"] != result["source"]
    assert VM in result["sentence"]


def test_a_host_that_refuses_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    _, document, _ = answer(capsys, "migrate", VM, "--auto", "--dry-run", "--no-measure")
    refused = next(host for host in document["vms"][0]["hosts"] if not host["accepted"])
    code, error, _ = answer(capsys, "migrate", VM, "--to", refused["host"])
    assert code == ExitCode.NO_SUITABLE_HOST
    assert error["format"] == "hpconsole-error/1"
    assert refused["refusals"][0]["sentence"] in error["error"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["vms", "--connect", "qemu+ext://host/system?command=/bin/evil"], ExitCode.USAGE),
        (["migrate", "no-such-vm", "--auto", "--demo"], ExitCode.USAGE),
        (["migrate", VM, "--to", "no-such-host", "--demo"], ExitCode.USAGE),
        (["hosts", "--demo", "--connect", "qemu:///system"], ExitCode.USAGE),
        (["vms"], ExitCode.USAGE),
        (["schedule", "--demo", "--vm", VM, "--policy", "no-such-policy"], ExitCode.USAGE),
        (["schedule", "--scenario", "no-such-file", "--vm", VM], ExitCode.USAGE),
    ],
)
def test_bad_words_get_a_sentence(words: list[str], code: ExitCode, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == code
    out, err = capsys.readouterr()
    assert err.startswith("hpconsole: ")
    assert "Traceback" not in out + err


def test_schedule_from_a_saved_snapshot_is_the_same_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    assert run(["snapshot", "save", str(file), "--demo"]) == ExitCode.DONE
    capsys.readouterr()
    assert run(["schedule", "--scenario", str(file), "--vm", VM, "--json", "--explain"]) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["best"] == document["hosts"][0]["host"]
    assert len(document["hosts"]) == 12
    assert all("would_help" in host for host in document["hosts"] if not host["accepted"])
    assert all(host["why_not_first"] for host in document["hosts"][1:] if host["accepted"])


STEERING = "db\x9b2J\u202e-1"  # clears a terminal's screen, and turns what follows around: both are allowed in XML


def test_names_never_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    vm = replace(a_vm(vcpus=64), name=STEERING)
    hosts = [a_host("host-a"), a_host("host-b", topology=a_topology(sockets=1, cores_per_node=2))]
    print_ranking(rank(Request((vm.uuid,)), a_snapshot(hosts, [vm])), [vm.uuid], explain=True)
    assert run(["--demo", "migrate", STEERING, "--auto"]) != ExitCode.DONE
    print_json({"name": STEERING})
    out, err = capsys.readouterr()
    assert "host-b" in out
    assert "no VM named db" in err
    assert set(STEERING) & set(out + err) == set("db2J-1")
    assert json.loads(out[out.index("{") :]) == {"name": STEERING}
    entry = logging.LogRecord("hpconsole", logging.INFO, __file__, 1, "%s\n%s", (STEERING, "next"), None)
    assert PrintableFormatter("%(message)s").format(entry) == "db\ufffd2J\ufffd-1\nnext"


def test_a_second_interrupt_leaves_the_migration_to_the_hosts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed = []

    class Interrupted(queue.SimpleQueue):  # type: ignore[type-arg]  # of events
        def get(self, block: bool = True, timeout: float | None = None) -> object:
            pressed.append("^C")
            assert len(pressed) < 9, "it does not let go"
            raise KeyboardInterrupt

    monkeypatch.setattr("hpconsole.cli.migrate.queue.SimpleQueue", Interrupted)
    assert run(["--demo", "migrate", VM, "--auto"]) == ExitCode.INTERRUPTED
    assert pressed == ["^C", "^C"]
    assert capsys.readouterr().err.count("press Ctrl-C again") == 1
