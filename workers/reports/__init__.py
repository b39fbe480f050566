"""Reports of steps on the server: failed tests as rows, all tests of a step as one compressed blob."""
