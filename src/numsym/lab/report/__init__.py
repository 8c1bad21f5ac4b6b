"""The report: one self-contained page for a run, or for several side by side; see `write` and `command`."""
