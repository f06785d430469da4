"""The scenarios, one a module, each with `NAME`, `TITLE` and `run(options) -> Outcome` (`benchmarks.scenario`)."""
