"""Commands for runs: `headway trigger`, `rerun`, `approve`, `artifacts`."""
