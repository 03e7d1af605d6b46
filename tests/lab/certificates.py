"""The lab's keys: a small certificate authority for qemu+tls, host and client keys for qemu+ssh.

Knows certtool and ssh-keygen and where libvirt, QEMU and OpenSSH look for their files; knows nothing of namespaces.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.commands import run

SSH_CONFIG = """\
Host {subnet}.*
    User root
    IdentityFile {folder}/id_ed25519
    IdentitiesOnly yes
    UserKnownHostsFile {known_hosts}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    ConnectTimeout 10
"""


class Authority:
    """Signs the lab's certificates. Thread-safe after construction."""

    def __init__(self, folder: Path) -> None:
        """Make the authority's own key and certificate in this folder (fresh)."""
        folder.mkdir(parents=True, exist_ok=True)  # "File exists" was seen once of a folder that nobody else makes
        self.certificate = folder / "cacert.pem"
        self._folder = folder
        self._key = folder / "cakey.pem"
        template = _write(folder / "ca.template", 'cn = "hpconsole lab"\nca\ncert_signing_key\nexpiration_days = 30\n')
        # libvirt insists on "key encipherment", which only RSA keys may do. Making one takes a while: all share it.
        _private_key(self._key, "--key-type=ecdsa", "--curve=secp256r1")
        self._shared_key = folder / "shared-key.pem"
        _private_key(self._shared_key, "--key-type=rsa", "--bits=2048")
        command = ("certtool", "--generate-self-signed", "--load-privkey", str(self._key))
        run(*command, "--template", str(template), "--outfile", str(self.certificate))

    def issue(self, name: str, addresses: tuple[str, ...] = ()) -> tuple[Path, Path]:
        """A key and a certificate for a host (with its addresses) or a client; both may be used on either side."""
        certificate = self._folder / f"{name}-cert.pem"
        lines = [f'cn = "{name}"', f'dns_name = "{name}"', *(f'ip_address = "{address}"' for address in addresses)]
        lines += ["signing_key", "encryption_key", "tls_www_server", "tls_www_client", "expiration_days = 30"]
        template = _write(self._folder / f"{name}.template", "\n".join(lines) + "\n")
        authority = ("--load-ca-certificate", str(self.certificate), "--load-ca-privkey", str(self._key))
        command = ("certtool", "--generate-certificate", "--load-privkey", str(self._shared_key), *authority)
        run(*command, "--template", str(template), "--outfile", str(certificate))
        return self._shared_key, certificate

    def install_for_host(self, name: str, address: str, pki: Path) -> None:
        """Fill a host's /etc/pki: libvirtd as server and as client of other hosts, and QEMU's migration."""
        key, certificate = self.issue(name, (address,))
        _copy(self.certificate, pki / "CA/cacert.pem")
        for side in ("server", "client"):
            _copy(certificate, pki / f"libvirt/{side}cert.pem")
            _copy(key, pki / f"libvirt/private/{side}key.pem")
            _copy(certificate, pki / f"qemu/{side}-cert.pem")
            _copy(key, pki / f"qemu/{side}-key.pem")
        _copy(self.certificate, pki / "qemu/ca-cert.pem")

    def install_for_client(self, folder: Path) -> None:
        """Fill the folder that a URI names with `pkipath=`."""
        key, certificate = self.issue("console")
        _copy(self.certificate, folder / "cacert.pem")
        _copy(certificate, folder / "clientcert.pem")
        _copy(key, folder / "clientkey.pem")


def ssh_key(path: Path) -> str:
    """Make a key pair without a passphrase; returns the public key's line."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hpconsole-lab", "-f", str(path))
    return path.with_suffix(".pub").read_text().strip()


def _private_key(path: Path, *kind: str) -> None:
    run("certtool", "--generate-privkey", *kind, "--outfile", str(path))


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    target.chmod(source.stat().st_mode & 0o777)
