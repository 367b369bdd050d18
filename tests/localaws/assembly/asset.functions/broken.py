raise ImportError("cannot be imported")
