"""Sources of the named poses: drafts, and their fit to contacts without interpenetration."""
