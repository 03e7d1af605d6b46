"""What people do by hand about hosts that fail: settings, fence devices, fencing, confirming.

Knows no window and no command line; both call it. What happens by itself is in `guard`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hpconsole.core.availability import settings as kept
from hpconsole.core.availability.fencing import Power, PowerReport, status, switch_off
from hpconsole.core.availability.health import HostHealth, judge_all
from hpconsole.core.availability.offs import OffProof, Offs
from hpconsole.core.availability.proof import prove
from hpconsole.core.availability.report import Proof
from hpconsole.core.availability.settings import AvailabilitySettings, FenceDevice
from hpconsole.core.errors import InvalidEdit, StepFailed
from hpconsole.core.keeping import Documents
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation


class Availability:
    """Settings, devices and proofs of one cluster.

    Args:
        documents: Where they are kept.
        snapshot: The newest snapshot.
        refresh: Asks for a new poll of a host.

    Threads: any. Every method raises StorageError where the database fails.
    """

    def __init__(
        self,
        documents: Documents,
        snapshot: Callable[[], ClusterSnapshot],
        *,
        refresh: Callable[[str], None] = lambda _host: None,
    ) -> None:
        self.documents = documents
        self._snapshot = snapshot
        self._refresh = refresh
        self._offs = Offs(documents)

    # --- what is kept ----------------------------------------------------------------------------------------------

    def settings(self) -> AvailabilitySettings:
        """The settings in force."""
        return kept.read_settings(self.documents)

    def save_settings(self, settings: AvailabilitySettings) -> None:
        """Keep settings; InvalidEdit for values none can have."""
        kept.save_settings(self.documents, settings)

    def fence_devices(self) -> Mapping[str, FenceDevice]:
        """Every usable fence device by host."""
        return kept.fence_devices(self.documents)[0]

    def fence_device_problems(self) -> Sequence[str]:
        """A sentence for each kept device that cannot be used."""
        return kept.fence_devices(self.documents)[1]

    def save_fence_device(self, device: FenceDevice) -> None:
        """Keep a host's fence device; InvalidEdit for one that cannot be used."""
        kept.save_fence_device(self.documents, device)

    def remove_fence_device(self, host: str) -> None:
        """Forget a host's fence device."""
        kept.remove_fence_device(self.documents, host)

    # --- what is known ---------------------------------------------------------------------------------------------

    def off(self) -> Mapping[str, OffProof]:
        """Hosts that are provably off: those with a proof that were watched and have not answered since it was made."""
        snapshot = self._snapshot()
        proofs = self._offs.all().items()
        return {host: proof for host, proof in proofs if proof.is_watched and not _answers_since(snapshot, proof)}

    def health(self) -> Mapping[str, HostHealth]:
        """Every host of the newest snapshot, judged."""
        off = {host: proof.sentence for host, proof in self.off().items()}
        return judge_all(self._snapshot(), self.settings(), off)

    def proof(self, policy: Policy, reservations: Sequence[Reservation] = ()) -> Proof:
        """The proof before the day. Takes some milliseconds per highly available VM: not on the window's thread."""
        return prove(self._snapshot(), policy, reservations, self.fence_devices())

    # --- what is done ----------------------------------------------------------------------------------------------

    def power(self, host: str) -> PowerReport:
        """Ask the host's fence device whether it has power. Blocks for up to the device's time-out.

        Raises:
            InvalidEdit: the host has no fence device.
            StepFailed: the agent cannot be started.
        """
        return status(self._device(host))

    def fence(self, host: str) -> OffProof:
        """Switch a host off. Its highly available VMs are then restarted elsewhere by whoever acts. Blocks.

        Raises:
            InvalidEdit: the host has no fence device.
            StepFailed: it is not provably off; the sentence says what the agent said.
        """
        report = switch_off(self._device(host))
        if report.power is not Power.OFF:
            raise StepFailed(f"{report.sentence} Nothing of it is restarted elsewhere.", subject=host)
        self._refresh(host)
        return self._offs.add(host, report.sentence)

    def confirm_off(self, host: str, who: str = "an administrator") -> OffProof:
        """Take a person's word that a host is off: its highly available VMs are restarted elsewhere.

        Raises:
            InvalidEdit: there is no such host, or it answers.
        """
        known = self._snapshot().hosts.get(host)
        if known is None:
            raise InvalidEdit("host", f"There is no host named {host}.", subject=host)
        if known.link.state is LinkState.CONNECTED:
            raise InvalidEdit("host", f"{host} answers, so it is not off. Nothing was changed.", subject=host)
        return self._offs.add(host, f"{who} confirmed that {host} is off.")

    def forget_proofs_of_answering(self) -> tuple[str, ...]:
        """Remove the proofs of hosts that answer again; their names."""
        snapshot = self._snapshot()
        back = [host for host, proof in self._offs.all().items() if _answers_since(snapshot, proof)]
        for host in back:
            self._offs.remove(host)
        return tuple(back)

    def watch_proofs(self) -> tuple[str, ...]:
        """Keep the proofs of hosts that are silent, as seen by a console that other hosts answer.

        Returns:
            The hosts nobody has watched for too long: whether they are off is not known any more.
        """
        is_seeing = any(host.link.state is LinkState.CONNECTED for host in self._snapshot().hosts.values())
        lapsed = []
        for host, proof in self._offs.all().items():
            if not proof.is_watched:
                self._offs.remove(host)
                lapsed.append(host)
            elif is_seeing:
                self._offs.watch(proof)
        return tuple(lapsed)

    def note_off(self, host: str, sentence: str) -> OffProof:
        """Keep what a fence agent said."""
        return self._offs.add(host, sentence)

    def _device(self, host: str) -> FenceDevice:
        device = self.fence_devices().get(host)
        if device is None:
            raise InvalidEdit(
                "host",
                f"{host} has no fence device. Give it one (hpconsole fence {host} --agent ...), or switch it off by "
                f"hand and confirm it (hpconsole confirm-off {host}).",
                subject=host,
            )
        return device


def _answers_since(snapshot: ClusterSnapshot, proof: OffProof) -> bool:
    host = snapshot.hosts.get(proof.host)
    if host is None or host.link.state is not LinkState.CONNECTED:
        return False
    return host.link.answered_at is not None and host.link.answered_at > proof.at
