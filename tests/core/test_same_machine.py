"""One machine under two names: known by what it says of itself, refused the second time, its VMs counted once."""

from __future__ import annotations

import pytest

from hpconsole.core.model.host import Host, HostLink, LinkState
from hpconsole.core.same_machine import without_duplicates

CONNECTED = HostLink(LinkState.CONNECTED)


def a_host(name: str, uri: str = "qemu+ssh://x/system", **facts: object) -> Host:
    known: dict[str, object] = {"uuid": "4c4c4544", "hostname": "x.example", "link": CONNECTED} | facts
    return Host(name, uri=uri, **known)  # type: ignore[arg-type]  # tests say what they mean


def refused(*hosts: Host) -> set[str]:
    found = without_duplicates({host.name: host for host in hosts})
    assert list(found) == [host.name for host in hosts]
    return {name for name, host in found.items() if host.link.state is LinkState.REFUSED}


def test_the_later_name_is_refused_and_says_what_to_do() -> None:
    first, second = a_host("z"), a_host("viatcp", "qemu+tcp://x/system", uuid="4C4C4544", hostname="X.example")
    found = without_duplicates({"z": first, "viatcp": second})
    assert found["z"] is first
    assert found["viatcp"].link.state is LinkState.REFUSED
    assert not found["viatcp"].is_candidate
    assert found["viatcp"].link.problem.startswith("viatcp is the same machine as z; remove one of them.")


def test_all_but_the_first_of_three() -> None:
    assert refused(a_host("a"), a_host("b"), a_host("c")) == {"b", "c"}


@pytest.mark.parametrize(
    "other",
    [
        a_host("b", uuid="other"),
        a_host("b", hostname="y.example"),  # boards of one maker with one UUID
    ],
)
def test_other_machines_are_others(other: Host) -> None:
    assert refused(a_host("a"), other) == set()


def test_hosts_that_tell_no_uuid_are_never_the_same() -> None:
    assert refused(a_host("a", uuid=""), a_host("b", uuid="")) == set()


@pytest.mark.parametrize("state", [LinkState.CONNECTING, LinkState.DISCONNECTED, LinkState.UNRESPONSIVE])
def test_the_second_stands_for_a_machine_that_does_not_answer_by_its_first_name(state: LinkState) -> None:
    assert refused(a_host("a", link=HostLink(state)), a_host("b")) == set()


@pytest.mark.parametrize("uuid", ["", "4c4c4544"])
def test_the_test_driver_s_machines_are_its_paths(uuid: str) -> None:
    one, again, other = (
        a_host(name, f"test:///{path}", uuid=uuid) for name, path in (("a", "x.xml"), ("b", "x.xml"), ("c", "y.xml"))
    )
    assert refused(one, again, other) == {"b"}
