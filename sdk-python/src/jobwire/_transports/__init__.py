"""Sockets, and only sockets: each transport carries a Request to a server and brings the Reply back."""
