"""`python -m lxrun`, and `python PATH/TO/lxrun` from a checkout that is not installed."""

import os
import sys

# The first place to import from is where lxrun itself lives, never the directory that the user happens
# to be in: that one holds the guest's files.
_home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if sys.flags.safe_path:
    sys.path.insert(0, _home)
else:
    sys.path[0] = _home

from lxrun.cli import entry  # noqa: E402

entry()
