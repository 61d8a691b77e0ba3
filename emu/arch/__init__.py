"""One module per guest architecture: registers, system-call ABI, signal frame, auxiliary vector."""
