"""Which connection URIs are opened: the accepted ones rebuilt, everything doubtful refused with a sentence."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpconsole.core.errors import UriRefused
from hpconsole.core.hypervisor.uri import HostUri, Transport, parse_uri


@pytest.mark.parametrize(
    ("text", "transport", "host", "port", "user"),
    [
        ("qemu:///system", Transport.LOCAL, "", None, ""),
        ("qemu+unix:///system", Transport.LOCAL, "", None, ""),
        ("qemu+ssh://root@host-1.example.org/system", Transport.SSH, "host-1.example.org", None, "root"),
        ("qemu+ssh://my_alias:2222/system", Transport.SSH, "my_alias", 2222, ""),
        ("qemu+libssh://h/system", Transport.LIBSSH, "h", None, ""),
        ("qemu+tls://[2001:DB8::0001]/system", Transport.TLS, "2001:db8::1", None, ""),
        ("qemu+tcp://10.0.0.1:16510/system", Transport.TCP, "10.0.0.1", 16510, ""),
        ("test:///default", Transport.TEST, "", None, ""),
        ("test:///srv/lab/two%20words.xml", Transport.TEST, "", None, ""),
        ("sim://host-01", Transport.SIMULATED, "host-01", None, ""),
    ],
)
def test_accepts(text: str, transport: Transport, host: str, port: int | None, user: str) -> None:
    uri = parse_uri(text)
    assert (uri.transport, uri.host, uri.port, uri.user) == (transport, host, port, user)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("qemu+ssh://h/system?command=/tmp/x", "command"),
        ("qemu+ssh://h/system?%63ommand=/tmp/x", "command"),
        ("qemu+ssh://h/system?COMMAND=/tmp/x", "command"),
        ("qemu+ssh://h/system?netcat=/tmp/x", "netcat"),
        ("qemu+ssh://h/system?no_verify=1", "no_verify"),
        ("qemu+tls://h/system?no_verify=1", "no_verify"),
        ("qemu+tls://h/system?no_sanity=1", "no_sanity"),
        ("qemu+tls://h/system?tls_priority=NORMAL:%2BNULL", "tls_priority"),
        ("qemu+libssh://h/system?known_hosts_verify=ignore", "known_hosts_verify"),
        ("qemu+libssh://h/system?known_hosts_verify=auto", "known_hosts_verify"),
        ("qemu:///system?socket=/tmp/evil", "socket"),
        ("qemu+ssh://h/system?socket=/tmp/evil", "socket"),
        ("qemu+ssh://h/system?name=qemu:///session", "name"),
        ("qemu+ssh://h/system?anything=1", "anything"),
        ("qemu+ssh://h/system?proxy=evil", "proxy"),
        ("qemu+ssh://h/system?no_tty=1;command=/tmp/x", ";"),
        ("qemu+ssh://h/system?no_tty=1&no_tty=1", "twice"),
        ("qemu+ssh://h/system?no_tty", "no usable value"),
        ("qemu+ssh://h/system?keyfile=relative", "full path"),
        ("qemu+ssh://h/system?keyfile=/a%0Ab", "no usable value"),
        ("qemu+tcp://h/system?keyfile=/a", "not known for this transport"),
        ("qemu+libssh://h/system?sshauth=password", "asks for no password"),
        ("qemu+ext://h/system?command=/tmp/x", "+ext"),
        ("qemu+ssh://user:secret@h/system", "password"),
        ("qemu+ssh://-oProxyCommand=x/system", "host name"),
        ("qemu+ssh://-l@h/system", "user name"),
        ("qemu+ssh://%2Dl@h/system", "user name"),
        ("qemu+tcp://root@h/system", "only SSH"),
        ("qemu+ssh://h%0a/system", "host name"),
        ("qemu+ssh://h/system\n", "control characters"),
        ("qemu+ssh://h/sys\ttem", "control characters"),
        ("qemu+ssh://höst/system", "ASCII"),
        ("qemu+ssh:///system", "the host is missing; write qemu+ssh://HOST/system"),
        ("qemu+ssh://", "the host is missing; write qemu+ssh://HOST/system"),
        ("qemu+tls:///", "the host is missing; write qemu+tls://HOST/system"),
        ("qemu+ssh://root@", "the host is missing"),
        ("qemu+ssh://:22/system", "the host is missing"),
        ("sim://", "the host is missing; write sim://HOST."),
        ("qemu+ssh://2001:db8::1/system", "brackets"),
        ("qemu+ssh://[2001:db8::1/system", "cannot be read"),
        ("qemu+ssh://[fe80::1%25eth0]/system", "IPv6"),
        ("qemu+ssh://h:99999/system", "cannot be read"),
        ("qemu+ssh://h:0/system", "0 is no port"),
        ("qemu://h/system", "no transport"),
        ("qemu:///session", "/system instead"),
        ("qemu:///embed?root=/tmp", "/system"),
        ("qemu+ssh://h/system#x", "#"),
        ("qemu:system", "://"),
        ("xen+ssh://h/system", "QEMU/KVM"),
        ("qemu+http://h/system", "transport"),
        ("test+ssh://h/default", "QEMU/KVM"),
        ("test://h/default", "test:///default"),
        ("test:///default?x=1", "not known"),
        ("sim://h/x", "no path"),
        ("", "://"),
        ("qemu+ssh://" + "h" * 2000 + "/system", "longer"),
    ],
)
def test_refuses_with_the_reason(text: str, word: str) -> None:
    with pytest.raises(UriRefused) as refused:
        parse_uri(text)
    assert word in refused.value.sentence
    assert "secret" not in refused.value.sentence
    assert refused.value.sentence.isprintable()


def test_settings_allow_what_they_name_and_nothing_else() -> None:
    parse_uri("qemu+ssh://h/system?command=/opt/ssh", allow_local_programs=True)
    parse_uri("qemu+tls://h/system?no_verify=1", allow_unverified=True)
    parse_uri("qemu+ssh://h/system?socket=/tmp/s", allow_unverified=True)
    with pytest.raises(UriRefused):
        parse_uri("qemu+ssh://h/system?command=/opt/ssh", allow_unverified=True)
    with pytest.raises(UriRefused):
        parse_uri("qemu+tls://h/system?no_verify=1", allow_local_programs=True)
    with pytest.raises(UriRefused):
        parse_uri("qemu+ext://h/system?command=/x", allow_local_programs=True, allow_unverified=True)


def test_ssh_is_opened_so_that_it_cannot_ask() -> None:
    assert parse_uri("qemu+ssh://h/system").opening_text == "qemu+ssh://h/system?no_tty=1"
    assert parse_uri("qemu+ssh://h/system?keyfile=/k").opening_text == "qemu+ssh://h/system?keyfile=/k&no_tty=1"
    assert parse_uri("qemu+ssh://h/system?no_tty=1").opening_text == "qemu+ssh://h/system?no_tty=1"
    assert parse_uri("qemu+tls://h/system").opening_text == "qemu+tls://h/system"


def test_only_tcp_is_unencrypted_and_says_so() -> None:
    tcp = parse_uri("qemu+tcp://h/system")
    assert not tcp.is_encrypted
    assert "neither encrypted" in tcp.warning
    for text in ("qemu+ssh://h/system", "qemu+tls://h/system", "qemu:///system"):
        assert parse_uri(text).is_encrypted
        assert not parse_uri(text).warning


def test_addresses_for_migrations() -> None:
    assert parse_uri("qemu+tls://[2001:db8::1]:17000/system").migrate_uri == "tcp://[2001:db8::1]"
    assert parse_uri("qemu+ssh://root@h/system").migrate_uri == "tcp://h"
    assert parse_uri("qemu:///system").migrate_uri is None
    assert parse_uri("qemu+tcp://[::1]/system").probe_address == ("::1", 16509)
    assert parse_uri("qemu+ssh://h/system").probe_address is None


_HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)


@given(
    transport=st.sampled_from(["ssh", "tls", "tcp", "libssh"]),
    host=_HOSTS,
    port=st.none() | st.integers(1, 65535),
    user=st.none() | st.from_regex(r"[a-z_][a-z0-9_.@-]{0,10}", fullmatch=True),
    key=st.none() | st.from_regex(r"/[ -~]{1,20}", fullmatch=True),
)
def test_what_is_accepted_is_a_fixed_point(
    transport: str, host: str, port: int | None, user: str | None, key: str | None
) -> None:
    is_ssh = transport in ("ssh", "libssh")
    who = f"{quote(user, safe='')}@" if user and is_ssh else ""
    where = f"{host}:{port}" if port else host
    what = f"?keyfile={quote(key, safe='')}" if key and is_ssh else ""
    uri = parse_uri(f"qemu+{transport}://{who}{where}/system{what}")
    assert parse_uri(uri.text) == uri
    assert parse_uri(uri.opening_text).opening_text == uri.opening_text
    assert uri.port == port
    assert uri.user == ((user or "") if is_ssh else "")


_PIECES = st.sampled_from(
    [
        "qemu",
        "test",
        "sim",
        "+",
        "://",
        "/",
        "////",
        "@",
        ":",
        "?",
        "&",
        "=",
        ";",
        "%",
        "%00",
        "%2f",
        "%63ommand",
        "command",
        "netcat",
        "socket",
        "no_verify",
        "system",
        "default",
        "ssh",
        "tls",
        "tcp",
        "ext",
        "unix",
        "libssh2",
        "h",
        "-oProxyCommand=x",
        "[::1]",
        "[",
        "]",
        "1",
        "0",
        "/tmp/x",
        "\t",
        "\n",
        "\x00",
        "é",
        "#",
        "name=qemu",
    ]
)


def _accepted(text: str) -> HostUri | None:
    try:
        return parse_uri(text)
    except UriRefused:
        return None


@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=14).map("".join)))
def test_any_text_is_refused_or_harmless(text: str) -> None:
    uri = _accepted(text)
    if uri is None:
        return
    assert parse_uri(uri.text) == uri
    decoded = unquote(uri.opening_text).lower()
    assert not any(word in decoded for word in ("command", "netcat=", "no_verify", "+ext", "\n", "\0"))
    assert not uri.host.startswith("-")
    assert not uri.user.startswith("-")
