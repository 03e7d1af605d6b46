"""The host tree: what its columns say, and that polls move nothing the user looks at."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QPalette
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from hpconsole.core.model.host import Host, HostLink, HostStatus, HostTopology, LinkState
from hpconsole.ui.main_window import host_rows
from hpconsole.ui.main_window.host_rows import HostRow
from hpconsole.ui.main_window.host_tree_model import HostTreeModel
from hpconsole.ui.main_window.panels import HostPanel
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.tone import Tone
from tests.builders import MIB, NOW, a_host, a_snapshot, a_topology, a_vm

TITLES = [column.title for column in host_rows.COLUMNS]


def text(row: HostRow, title: str) -> str:
    return host_rows.COLUMNS[TITLES.index(title)].text(row)


def tone(row: HostRow, title: str) -> Tone:
    its = host_rows.COLUMNS[TITLES.index(title)].tone
    assert its is not None
    return its(row)


def a_row(host: Host | None = None, age_s: int = 1) -> HostRow:
    host = host or a_host()
    host = replace(host, link=replace(host.link, answered_at=NOW))
    return host_rows.host_rows(a_snapshot([host]), NOW + timedelta(seconds=age_s))[0]


def test_a_host_says_everything_the_list_promises() -> None:
    host = a_host(cpu_load_pct=42.4)
    snapshot = a_snapshot([host], [a_vm("a", host=host.name), a_vm("b", host=host.name), a_vm("c", host=None)])
    row = host_rows.host_rows(snapshot, NOW + timedelta(seconds=2))[0]
    assert text(row, "Host") == "host-a"
    assert text(row, "Status") == "Connected"
    assert text(row, "CPU load") == "42 %"
    assert text(row, "Memory used") == "16.8 / 128 GiB"
    assert text(row, "Huge pages free") == "2M: 2048/2048"
    assert text(row, "VMs") == "2"
    assert text(row, "CPUs") == "32  (2 × 8 × 2)"
    assert text(row, "Updated") == "2 s ago"


def test_nodes_say_theirs() -> None:
    host = a_host()
    host = replace(host, usage=replace(host.usage, cpu_usage_pct=((0, 10.0), (1, 30.0), (8, 90.0))))
    first, second = host_rows.node_rows(a_row(host))
    assert text(first, "Host") == "Node 0"
    assert text(first, "CPU load") == "20 %"
    assert text(second, "CPU load") == "90 %"
    assert text(first, "CPUs") == "0-7,16-23"
    assert text(first, "Memory used") == "8.4 / 64 GiB"
    assert text(first, "Huge pages free") == "2M: 1024/1024"
    assert text(first, "VMs") == text(first, "Updated") == text(first, "Status") == ""


@pytest.mark.parametrize(
    ("state", "is_encrypted", "status", "says", "how"),
    [
        (LinkState.CONNECTED, True, HostStatus.UP, "Connected", Tone.NORMAL),
        (LinkState.CONNECTED, False, HostStatus.UP, "Connected · not encrypted", Tone.WARNING),
        (LinkState.UNRESPONSIVE, True, HostStatus.UP, "Not responding", Tone.WARNING),
        (LinkState.DISCONNECTED, True, HostStatus.UP, "Disconnected", Tone.BAD),
        (LinkState.CONNECTED, True, HostStatus.MAINTENANCE, "Maintenance", Tone.WARNING),
        (LinkState.DISCONNECTED, True, HostStatus.MAINTENANCE, "Maintenance, disconnected", Tone.BAD),
    ],
)
def test_status(state: LinkState, is_encrypted: bool, status: HostStatus, says: str, how: Tone) -> None:
    row = a_row(a_host(link=HostLink(state, is_encrypted=is_encrypted), status=status))
    assert text(row, "Status") == says
    assert tone(row, "Status") is how


@pytest.mark.parametrize(
    ("age_s", "says", "how"),
    [
        (0, "now", Tone.MUTED),
        (3, "3 s ago", Tone.MUTED),
        (14, "stale 14 s", Tone.WARNING),
        (95, "stale 1 min 35 s", Tone.BAD),
    ],
)
def test_age_is_clearly_visible(age_s: int, says: str, how: Tone) -> None:
    row = a_row(age_s=age_s)
    assert text(row, "Updated") == says
    assert tone(row, "Updated") is how
    assert (tone(row, "Memory used") is Tone.MUTED) == (age_s > 5), "old numbers are grey"


def test_a_host_that_never_answered() -> None:
    host = Host("new", link=HostLink(LinkState.CONNECTING))
    row = host_rows.host_rows(a_snapshot([host]), NOW)[0]
    assert text(row, "Updated") == "no data yet"
    assert text(row, "VMs") == "–", "not known is not none"
    assert text(row, "Memory used") == text(row, "CPU load") == text(row, "CPUs") == "–"


def test_summary_of_the_cluster() -> None:
    snapshot = a_snapshot(
        [a_host("a"), a_host("b", link=HostLink(LinkState.DISCONNECTED))], [a_vm(host="a"), a_vm("off", host=None)]
    )
    rows = host_rows.host_rows(snapshot, NOW)
    said = host_rows.cluster_summary(rows, snapshot)
    assert said == "2 hosts (1 connected)   ·   2 VMs, 1 running   ·   33.6 / 256 GiB memory used"


def a_model() -> HostTreeModel:
    model = HostTreeModel()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    return model


def names(model: HostTreeModel) -> list[str]:
    return [model.index(i, 0).data() for i in range(model.rowCount())]


def children(model: HostTreeModel, parent: QModelIndex) -> list[str]:
    return [model.index(i, 0, parent).data() for i in range(model.rowCount(parent))]


def rows(*hosts: Host) -> list[HostRow]:
    return host_rows.host_rows(a_snapshot(hosts), NOW)


def test_tree_has_hosts_and_their_nodes() -> None:
    model = a_model()
    model.set_rows(rows(a_host("host-10"), a_host("host-2")))
    assert names(model) == ["host-2", "host-10"]
    assert children(model, model.index(0, 0)) == ["Node 0", "Node 1"]
    node = model.index(1, 3, model.index(1, 0))
    assert node.data() == "8.4 / 64 GiB"
    assert node.parent() == model.index(1, 0)
    assert not node.flags() & Qt.ItemFlag.ItemIsSelectable
    assert not node.parent().parent().isValid()


def test_nodes_may_come_and_go() -> None:
    model = a_model()
    bare = Host("h", link=HostLink(LinkState.CONNECTING))
    model.set_rows(rows(bare))
    assert model.rowCount(model.index(0, 0)) == 0
    model.set_rows(rows(a_host("h")))
    assert children(model, model.index(0, 0)) == ["Node 0", "Node 1"]
    model.set_rows(rows(a_host("h", topology=a_topology(1))))
    assert children(model, model.index(0, 0)) == ["Node 0"]
    model.search("nothing")
    model.set_rows(rows(replace(bare, topology=HostTopology())))
    model.search("")
    assert children(model, model.index(0, 0)) == []


def test_expanded_hosts_stay_expanded(qtbot: QtBot) -> None:
    panel = HostPanel()
    qtbot.addWidget(panel)
    hosts = [a_host(f"host-{i}", cpu_load_pct=i) for i in range(40)]
    panel.model.set_rows(rows(*hosts))
    panel.view.expand(panel.model.index(3, 0))
    panel.selection.select(["host-3"])

    def is_expanded() -> bool:
        position = panel.model.position_of("host-3")
        assert position is not None
        return panel.view.isExpanded(panel.model.index(position, 0))

    panel.view.sortByColumn(TITLES.index("CPU load"), Qt.SortOrder.DescendingOrder)
    assert panel.model.position_of("host-3") == 36
    assert is_expanded()
    panel.model.search("host-3")
    assert is_expanded()
    panel.model.search("host-1")
    panel.model.search("")
    assert is_expanded()
    assert panel.selection.keys == ("host-3",)
    panel.model.set_rows(rows(*hosts[2:]))
    assert is_expanded()
    panel.view.collapse(panel.model.index(panel.model.position_of("host-3") or 0, 0))
    panel.model.search("host-3")
    panel.model.search("")
    assert not is_expanded()


def test_a_poll_tells_only_of_nodes_in_sight(qtbot: QtBot) -> None:
    panel = HostPanel()
    qtbot.addWidget(panel)
    panel.model.set_rows(rows(*(a_host(f"host-{i}", cpu_load_pct=1) for i in range(30))))
    panel.view.expand(panel.model.index(4, 0))
    told: list[str] = []
    panel.model.dataChanged.connect(lambda first, _: told.append(first.parent().data() or "hosts"))
    panel.model.set_rows(rows(*(a_host(f"host-{i}", cpu_load_pct=2) for i in range(30))))
    assert told == ["hosts", "host-4"]


def test_a_poll_draws_only_what_is_live(qtbot: QtBot) -> None:
    model = a_model()
    hosts = [a_host(f"host-{i}", cpu_load_pct=1) for i in range(3)]
    model.set_rows(rows(*hosts))
    told: list[tuple[str, str]] = []
    model.dataChanged.connect(lambda first, last: told.append((TITLES[first.column()], TITLES[last.column()])))
    # what a poll brings: the same topology, equal in everything else that the other columns say
    polled = [replace(host, usage=replace(host.usage, cpu_pct=2.0)) for host in hosts]
    model.set_rows(rows(*polled))
    assert told == [("CPU load", "Updated")]
    told.clear()
    polled[1] = replace(polled[1], link=HostLink(LinkState.DISCONNECTED))
    model.set_rows(rows(*polled))
    assert told == [(TITLES[0], TITLES[-1])]


def test_search_looks_at_name_state_and_address() -> None:
    model = a_model()
    away = HostLink(LinkState.DISCONNECTED)
    model.set_rows(rows(a_host("alpha"), a_host("beta", link=away, uri="qemu+ssh://10.0.0.7/system")))
    for query, found in (("alph", ["alpha"]), ("disconn", ["beta"]), ("10.0.0.7", ["beta"]), ("alpha disc", [])):
        model.search(query)
        assert names(model) == found


def test_memory_of_a_node_larger_than_told_is_not_negative() -> None:
    host = a_host()
    usage = replace(host.usage, nodes=tuple(replace(n, free_kib=n.free_kib + 200_000 * MIB) for n in host.usage.nodes))
    node = host_rows.node_rows(a_row(replace(host, usage=usage)))[0]
    assert text(node, "Memory used") == "0 / 64 GiB"


def test_every_status_fits_its_column(qtbot: QtBot) -> None:
    panel = HostPanel()
    qtbot.addWidget(panel)
    said = host_rows.status_text(a_row(a_host(link=HostLink(LinkState.CONNECTED, is_encrypted=False))))
    needed = panel.view.fontMetrics().horizontalAdvance(said) + 16
    assert panel.view.header().sectionSize(TITLES.index("Status")) >= needed


def test_a_warning_keeps_its_colour_on_a_selected_row(qtbot: QtBot) -> None:
    panel = HostPanel()
    qtbot.addWidget(panel)
    panel.model.set_rows(rows(a_host("h", link=HostLink(LinkState.DISCONNECTED))))
    option = QStyleOptionViewItem()
    column = TITLES.index("Status")
    delegate = panel.view.itemDelegateForColumn(column)
    assert isinstance(delegate, QStyledItemDelegate)
    delegate.initStyleOption(option, panel.model.index(0, column))
    assert option.palette.color(QPalette.ColorRole.HighlightedText).name() == LIGHT.bad
