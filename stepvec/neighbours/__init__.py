"""Which images are alike: an index of an export's vectors, the nearest of any vector, groups of near-duplicates.

`Index.open(folder)` gives `nearest` (of vectors of any kind), `nearest_of_all` (of its own) and `rows`; `update_index`
brings it up to date with exports; `duplicate_groups` and `outliers` are made of what `nearest_of_all` gives. Similarity
is the cosine, 1 for the same direction. Knows nothing of AWS.
"""
