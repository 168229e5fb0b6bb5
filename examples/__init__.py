"""Example applications that show embedsync at work."""
