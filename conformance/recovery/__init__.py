"""How fast each SDK is back after a fault, and what it loses: `python -m conformance recovery`."""
