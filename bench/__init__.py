"""How fast lxrun is, beside native, qemu-user and Qiling: `python -m bench`."""
