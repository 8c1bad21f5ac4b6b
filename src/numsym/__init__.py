"""numsym: does this network hold a number as a variable, where, and how sure are we?"""

from importlib.metadata import version

__version__ = version("numsym")
