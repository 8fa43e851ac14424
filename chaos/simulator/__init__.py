"""Both services in one thread over a clock, a network and stores of ours, so that a seed replays every fault.

The domain, the use cases and the messages between the services are those that ship; only what lies outside of them is
simulated. Each store is held to the contract tests of the real one.
"""
