"""What is shown in a picture: the decoders, and what is done to a picture that they did not read.

All of it runs inside the decoder's own process, or in the program that checks a picture: it may
crash and it takes memory. Nothing outside this package imports a decoder or OpenCV.
"""
