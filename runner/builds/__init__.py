"""Image builds: runs ``docker build`` with BuildKit through its command line client."""
