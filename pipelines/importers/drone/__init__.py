"""Pipeline files of Drone, with the syntax of version 1 and 2, and of version 0.8."""
