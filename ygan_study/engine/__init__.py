"""What makes training fast and durable, and is no part of the paper."""
