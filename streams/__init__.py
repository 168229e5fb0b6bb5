"""HOW it flows: the lanes, the application, the commands' work; `cli` only parses and prints."""
