"""The records that pass between the steps of a run, as files in the work bucket or as state of the execution."""
