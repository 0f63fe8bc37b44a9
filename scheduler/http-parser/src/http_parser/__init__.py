"""The distribution that pymesos requires by this name; see README.md."""
