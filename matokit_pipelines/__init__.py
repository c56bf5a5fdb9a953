"""matokit: whether the software you hand out installs, from the events its installers send."""

__version__ = "0.6.0"
