"""hpconsole: a desktop console for high-performance virtual machines on KVM/libvirt hosts."""

__version__ = "0.1.0"
