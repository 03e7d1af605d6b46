"""Which ways are tried to reach the destination, and which errors make the next one worth a try."""

from __future__ import annotations

import pytest

from hpconsole.core.errors import AuthenticationFailed, ConnectionLost, OperationRefused
from hpconsole.core.execution.routes import is_worth_another_route, routes, uri_for_a_host
from hpconsole.core.hypervisor.port import MigrationTransport

P2P, CLIENT = MigrationTransport.PEER_TO_PEER, MigrationTransport.CLIENT_MANAGED


def test_peer_to_peer_comes_first_with_an_address_that_resolves() -> None:
    found = routes("qemu+tcp://10.77.0.1/system", "qemu+tcp://10.77.0.2/system")
    assert [(route.transport, route.migrate_uri) for route in found] == [
        (P2P, "tcp://10.77.0.2"),
        (CLIENT, "tcp://10.77.0.2"),
        (CLIENT, None),
    ]


def test_an_ipv6_address_keeps_its_brackets() -> None:
    first = routes("qemu+tcp://a/system", "qemu+tls://[fd00::2]:16514/system")[0]
    assert (first.destination_uri, first.migrate_uri) == ("qemu+tls://[fd00::2]:16514/system", "tcp://[fd00::2]")


def test_this_machine_as_destination_cannot_be_named_to_another() -> None:
    (only,) = routes("qemu+ssh://a/system", "qemu:///system")
    assert (only.transport, only.migrate_uri) == (CLIENT, None)


@pytest.mark.parametrize("uri", ["qemu+tcp://127.0.0.1:16510/system", "qemu+ssh://localhost:2222/system"])
def test_the_end_of_a_tunnel_here_means_nothing_to_another_host(uri: str) -> None:
    (only,) = routes("qemu+ssh://a/system", uri)
    assert (only.transport, only.destination_uri, only.migrate_uri) == (CLIENT, uri, None)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("qemu+tls://b/system?pkipath=/home/me/pki", "qemu+tls://b/system"),
        ("qemu+ssh://root@b:2222/system?keyfile=/k&known_hosts=/h", "qemu+ssh://root@b:2222/system?no_tty=1"),
        ("qemu+tcp://b/system?keepalive_interval=3", "qemu+tcp://b/system"),
    ],
)
def test_what_means_something_here_only_is_not_sent_to_a_host(ours: str, theirs: str) -> None:
    assert uri_for_a_host(ours) == theirs


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationFailed("no"),
        OperationRefused(
            "no", code=38, detail="unable to connect to server at '10.78.1.2:16509': Network is unreachable"
        ),
        OperationRefused("no", code=38, detail="Cannot recv data: Host key verification failed.: Connection reset"),
        OperationRefused("no", code=45),
        OperationRefused("no", code=9, detail="operation failed: Failed to connect to remote libvirt URI qemu+ssh://b"),
        OperationRefused("no", code=1, detail="internal error: Unable to resolve address 'b' service '49152'"),
    ],
)
def test_a_way_that_is_blocked_makes_the_next_worth_a_try(error: OperationRefused) -> None:
    assert is_worth_another_route(error)


@pytest.mark.parametrize(
    "error",
    [
        OperationRefused("no", code=9, detail="operation failed: migration out job: unexpectedly failed"),
        OperationRefused("no", code=78, detail="operation aborted: migration out job: canceled by client"),
        OperationRefused("no", code=67, detail="unsupported configuration: Target domain vCPU count"),
        OperationRefused("no", code=38, detail="cannot set CPU affinity on process 4711: Invalid argument"),
        ConnectionLost("the console lost it; the migration may be going on"),
    ],
)
def test_a_migration_that_failed_is_not_begun_again_another_way(error: OperationRefused) -> None:
    assert not is_worth_another_route(error)
