"""What a checkout needs around the services: engines, the local stack, checks and the demo. Never shipped."""
