"""Calibration for int8: which convolutions may compute in it, and with which ranges."""
