"""What people ask of reports: which tests failed, all tests of a run, and how a test did before."""
