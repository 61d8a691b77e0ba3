"""io_uring(7): rings that a program and the kernel share, and the requests that travel in them.

A call of the program's becomes an entry of the submission ring, a result one of the completion ring
(ring.py).  A request (request.py) is made from an entry and issued: what it does is told by the table of
operations, which belongs to the ABI and is handed in (syscalls/io_uring).  One that has to wait is a coroutine
like that of a blocked system call, driven by what it waits for and not by a task of its own; it goes on as
work of the task that submitted it (kernel/task_work.py), so that no guest waits for it.
"""
