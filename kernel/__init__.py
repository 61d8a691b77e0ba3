"""The Linux personality: tasks, address spaces, exec, signals, scheduling and time."""
