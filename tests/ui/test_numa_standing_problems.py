"""NUMA Topology of a host: what was broken before any edit is said quietly, what an edit breaks names its VM."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.editing import pin_node, with_hosts
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.ui.numa.presenter import NumaPresenter
from hpconsole.ui.numa.view import NumaView
from tests.builders import a_snapshot, a_vm
from tests.ui.test_numa_dialog import a_draft, hosts


def anywhere(name: str) -> VmDraft:
    """It may run on any host, so its virtual nodes must not be pinned."""
    return replace(with_hosts(a_draft(name), ()), uuid=name)


def answered(presenter: NumaPresenter) -> NumaView:
    question = presenter.next_question()
    assert question is not None
    presenter.take_answer(question())
    return presenter.view()


def opened(*drafts: VmDraft) -> NumaPresenter:
    vms = [a_vm(draft.name, uuid=draft.uuid) for draft in drafts]
    return NumaPresenter(
        drafts, a_snapshot(hosts(), vms), lambda: DEFAULT_POLICY, hosts=["host-a", "host-b"], is_for_host=True
    )


def test_a_rule_broken_before_any_edit_is_no_error_here_and_names_its_vm() -> None:
    view = answered(opened(anywhere("fine"), pin_node(anywhere("broken"), 0, (1,)), pin_node(anywhere("too"), 0, (1,))))
    assert view.problem == ""
    assert view.summary.startswith("Nothing is changed yet. As it is now, broken: Virtual NUMA nodes are pinned")
    assert view.summary.endswith("Likewise too.")
    assert not view.can_save


def test_what_an_edit_breaks_names_the_vm_and_what_to_do() -> None:
    presenter = opened(anywhere("fine"), pin_node(anywhere("broken"), 0, (1,)))
    answered(presenter)
    presenter.pin(("fine", 0), (0,))
    view = answered(presenter)
    assert view.problem.startswith("fine: Virtual NUMA nodes are pinned")
    assert "choose at least one specific host for it in Edit VM, or unpin them" in view.problem
    assert not view.can_save


def test_what_a_host_lacks_names_the_vm_that_wants_it() -> None:
    presenter = opened(anywhere("fine"), pin_node(anywhere("far"), 0, (7,)))
    reasons = answered(presenter).reasons
    assert "far: Virtual node 0 is pinned to node 7, which host-a does not have." in reasons


def test_another_vm_can_be_saved_while_one_stays_broken() -> None:
    chosen = replace(a_draft("chosen", chosen=("host-a",)), uuid="chosen")
    presenter = opened(chosen, pin_node(anywhere("broken"), 0, (1,)))
    answered(presenter)
    presenter.pin(("chosen", 0), (0,))
    view = answered(presenter)
    assert view.problem == ""
    assert view.can_save
    assert "As it is now, broken:" in view.summary


def test_one_vm_that_is_broken_as_opened_is_no_error_until_it_is_edited() -> None:
    presenter = NumaPresenter(
        [replace(pin_node(anywhere("broken"), 0, (1,)), uuid="")],
        a_snapshot(hosts(), []),
        lambda: DEFAULT_POLICY,
        hosts=["host-a"],
    )
    assert answered(presenter).problem == ""
    presenter.pin(("", 0), (0,))
    assert answered(presenter).problem.startswith("Virtual NUMA nodes are pinned")
