timeout: failed to run command ‘./lx’: No such file or directory
