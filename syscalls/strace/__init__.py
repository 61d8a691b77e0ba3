"""`lxrun --strace`: system calls in strace(1)'s own notation."""
