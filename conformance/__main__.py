"""`python -m conformance`."""

from conformance.cli import entry

if __name__ == "__main__":  # the workers import this module too
    entry()
