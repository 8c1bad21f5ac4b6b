"""The laboratory: run folders, tracking, sweeps, collecting, and the command."""
