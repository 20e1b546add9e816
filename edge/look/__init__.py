"""What the camera sees, for the installer who aims and focuses it (`menshen-edge look`).

The same eyes as the unit's, nothing of its door. Pictures stay in memory; what a code says is
forgotten as soon as it is known whether it is a door code.
"""
