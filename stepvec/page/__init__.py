"""The page to look at: all photos, what each is like, a map, duplicates, failures."""
