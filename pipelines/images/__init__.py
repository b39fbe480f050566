"""What a build of an image may say: arguments, platforms, exported caches, what reaches the host; the names of our
own images.
"""
