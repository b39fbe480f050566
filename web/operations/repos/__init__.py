"""Operations on repositories: adding, addresses, secrets, logins to registries and forges, crons, retention."""
