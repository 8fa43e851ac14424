"""The local stack: databases and both services as processes that outlive the command that started them."""
