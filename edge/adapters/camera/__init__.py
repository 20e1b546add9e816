"""Cameras and barcode imagers, and the decoder's process."""
