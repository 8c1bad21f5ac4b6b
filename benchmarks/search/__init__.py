"""Benchmarks of the alignment search; `python -m benchmarks.search` says what each part is."""
