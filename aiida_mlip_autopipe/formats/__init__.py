"""Text and bytes of other programs, and the names of their files. No AiiDA."""
