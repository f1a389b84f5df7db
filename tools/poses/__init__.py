"""How the named poses came about: drafts by eye, then fitted to touch what they should and pass through nothing."""
