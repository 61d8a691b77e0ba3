"""lxconform: the same programs on lxrun and on real Linux, compared.

It knows nothing of lxrun's insides: everything goes through `lxrun.run`.
"""
