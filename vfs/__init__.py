"""Files: path walk, mounts, open file descriptions, and one module per filesystem."""
