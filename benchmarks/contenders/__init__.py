"""One script a contender: how it is set up, how it creates, how it drains. Run as a process by `benchmarks.contender`."""
