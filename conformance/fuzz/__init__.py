"""`lxconform fuzz`: random programs of system calls, on real Linux and on lxrun."""
