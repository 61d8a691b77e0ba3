"""The machine: physical memory, CPU engines, guest architectures and the ELF loader."""
