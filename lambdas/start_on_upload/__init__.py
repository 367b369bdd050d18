"""StartOnUpload: one execution for all the uploads that a batch of messages tells of."""
