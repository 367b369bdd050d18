"""StartOnUpload: one execution for all the uploads in a batch of messages."""
