"""The row of one image: its item in DynamoDB, its vector, the model that made it."""
