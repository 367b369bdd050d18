"""The CDK app: one construct a file, two stacks by lifetime."""
