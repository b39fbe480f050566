"""Job execution: runs the steps and services of one job, from the checkout to the verdict."""
