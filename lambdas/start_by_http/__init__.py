"""StartByHttp: starts runs for HTTP requests, and says how they are."""
