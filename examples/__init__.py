"""Example applications that show vectrue at work."""
