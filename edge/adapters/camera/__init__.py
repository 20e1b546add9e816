"""Cameras, barcode imagers and the decoder's process."""
