"""What `numsym experiment=NAME` runs: a module each, with `run(config, folder)`. A library user calls none of these."""
