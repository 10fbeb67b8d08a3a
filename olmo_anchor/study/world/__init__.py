"""The story world: its file, its stories, its data on disk, and the exact classifier of it."""
