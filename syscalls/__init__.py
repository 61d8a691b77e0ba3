"""The Linux system-call ABI: decode arguments, call one kernel or vfs method, encode the result."""
