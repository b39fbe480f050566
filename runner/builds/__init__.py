"""`docker build` by BuildKit, through its command line client."""
