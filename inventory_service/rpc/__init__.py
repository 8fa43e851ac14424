"""The gRPC face: requests become commands, answers become messages, refusals become codes."""
