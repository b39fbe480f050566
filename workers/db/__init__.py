"""The database: engine, transactions, models, migrations."""
