"""What only an AWS account can answer, asked of one: `make proof-on-aws`; docs/aws-rules.md has the rules behind it."""
