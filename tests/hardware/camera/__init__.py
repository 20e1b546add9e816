"""The real picamera2 over libcamera's virtual camera: README.md."""
