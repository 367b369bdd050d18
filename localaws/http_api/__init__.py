"""API Gateway's HTTP APIs: what answers their requests, from what the template deployed of them."""
