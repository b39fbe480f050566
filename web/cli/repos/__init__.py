"""Commands for repositories: `headway repo`, `secret`, `registry`, `cron`, `delivery`."""
