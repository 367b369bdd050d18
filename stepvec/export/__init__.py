"""A deployed table's vectors as files: `stepvec export` writes them, whoever works with vectors reads them."""
