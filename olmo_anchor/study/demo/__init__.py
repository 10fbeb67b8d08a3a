"""The demo: four arms, of the story world or of a user's own files."""
