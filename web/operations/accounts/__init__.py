"""Operations on users: roles, sessions and tokens."""
