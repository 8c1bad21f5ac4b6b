"""The front of the command `numsym`: what there is and what was asked, before anything heavy is imported.

It stands beside the package and not in it, because whoever imports a part of `numsym` imports all of it, and torch,
transformers and pyvene with it. `--help`, a typo or `--cfg job` are answered from here, in a second.
"""
