"""What users can do, under the API, the pages and the command line alike: checks, database changes, own errors."""
