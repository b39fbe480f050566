"""Static analysis of pipeline files, for which no trigger is given: errors, warnings and hints."""
